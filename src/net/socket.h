// Making sockets: bound, non-blocking, close-on-exec. Errors name the operation and the address.
// Thread: any.  Tested by: socket_test.cc
#pragma once

#include <cerrno>
#include <optional>
#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "net/fd.h"
#include "net/sockaddr.h"

namespace har::net {

struct BindOptions {
  bool reuse_port = false;  // several sockets on one address (SO_REUSEPORT)
  bool free_bind = false;   // an address that the host does not have (yet)
};

// A failed bind: errno beside the text, since EADDRINUSE and EADDRNOTAVAIL are treated apart.
struct BindError {
  int code = 0;
  std::string message;
};

tl::expected<Fd, BindError> bind_udp(const IpPort& address, BindOptions options);
// Listening, with SO_REUSEADDR, so that connections of an earlier life in TIME_WAIT are no hindrance.
tl::expected<Fd, BindError> listen_tcp(const IpPort& address, BindOptions options);

// One number a socket, the same for all its duplicates and in all processes (SO_COOKIE). Not fstat's inode: the C
// library makes a look at a path of that, and who needs it may look at no path.
std::uint64_t socket_cookie(int fd);

std::optional<IpAddress> local_ip(int fd);  // what it is bound or connected from; none: not a socket of IP

// "bind 127.0.0.1#53: Address already in use"
std::string describe(const std::string& operation, const IpPort& address, int code);

}  // namespace har::net
