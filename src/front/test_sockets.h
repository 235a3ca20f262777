// Clients of the tests: plain sockets on loopback, driven beside the loop under test in one thread.
// Thread: the test's.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <functional>
#include <string>
#include <vector>

#include "net/clock.h"
#include "net/fd.h"
#include "net/loop.h"
#include "net/sockaddr.h"

namespace har::front {

using Bytes = std::vector<std::uint8_t>;

inline IpPort at(const char* ip, std::uint16_t port = 0) { return {.ip = *IpAddress::parse(ip), .port = port}; }

inline IpPort local_of(int fd) {
  net::SocketAddress address;
  socklen_t size = sizeof address;
  EXPECT_EQ(getsockname(fd, &address.generic, &size), 0);
  return address.to_ip_port();
}

inline net::Fd bound(int type, const IpPort& where) {
  const net::SocketAddress address(where);
  net::Fd fd(socket(address.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_EQ(bind(fd.get(), &address.generic, address.size()), 0) << where.to_string();
  if (type == SOCK_STREAM) {
    EXPECT_EQ(listen(fd.get(), 256), 0);
  }
  return fd;
}

inline net::Fd connected(int type, const IpPort& to, int receive_buffer = 0) {
  const net::SocketAddress address(to);
  net::Fd fd(socket(address.family(), type | SOCK_CLOEXEC, 0));
  if (receive_buffer > 0) setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  EXPECT_EQ(connect(fd.get(), &address.generic, address.size()), 0) << to.to_string();
  fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  return fd;
}

// Runs the loop until `done`, at most `limit`. It wakes every few milliseconds, so that `done` may look at sockets.
inline bool run_until(net::Loop& loop, const std::function<bool()>& done, Duration limit = std::chrono::seconds(5)) {
  const Instant end = net::now() + limit;
  net::Timer tick(loop, [] {});
  while (!done()) {
    if (net::now() > end) return false;
    tick.set(std::chrono::milliseconds(2));
    loop.run_once();
  }
  return true;
}

inline void run_for(net::Loop& loop, Duration time) {
  const Instant end = net::now() + time;
  run_until(
      loop, [&] { return net::now() >= end; }, time * 2);
}

inline std::string text(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }
inline Bytes bytes(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace har::front
