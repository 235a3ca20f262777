#include "net/sockaddr.h"

#include <cstring>

namespace har::net {

SocketAddress::SocketAddress(const IpPort& from) : v6{} {
  if (from.ip.family == Family::kV4) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(from.port);
    std::memcpy(&v4.sin_addr, from.ip.bytes.data(), 4);
  } else {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(from.port);
    v6.sin6_scope_id = from.scope;
    std::memcpy(&v6.sin6_addr, from.ip.bytes.data(), 16);
  }
}

IpPort SocketAddress::to_ip_port() const {
  IpPort out;
  if (family() == AF_INET) {
    out.ip = IpAddress::v4(reinterpret_cast<const std::uint8_t*>(&v4.sin_addr));
    out.port = ntohs(v4.sin_port);
  } else {
    out.ip = IpAddress::v6(v6.sin6_addr.s6_addr);
    out.port = ntohs(v6.sin6_port);
    out.scope = v6.sin6_scope_id;
  }
  return out;
}

}  // namespace har::net
