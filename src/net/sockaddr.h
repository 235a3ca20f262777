// Between IpPort and the kernel's socket addresses.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/ip.h"

namespace har::net {

// Big enough for both families, 28 bytes instead of sockaddr_storage's 128: many are kept.
union SocketAddress {
  sockaddr generic;
  sockaddr_in v4;
  sockaddr_in6 v6;

  SocketAddress() : v6{} {}
  explicit SocketAddress(const IpPort& from);
  IpPort to_ip_port() const;  // requires: AF_INET or AF_INET6
  int family() const { return generic.sa_family; }
  socklen_t size() const { return family() == AF_INET ? sizeof v4 : sizeof v6; }
};

}  // namespace har::net
