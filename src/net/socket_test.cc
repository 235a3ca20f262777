#include "net/socket.h"

#include <gtest/gtest.h>

namespace har::net {
namespace {

IpPort bound_to(const Fd& fd) {
  SocketAddress address;
  socklen_t size = sizeof address;
  EXPECT_EQ(getsockname(fd.get(), &address.generic, &size), 0);
  return address.to_ip_port();
}
const IpPort kAny{*IpAddress::parse("127.0.0.1"), 0};

TEST(Socket, APlainBindIsRefusedWhileAnotherHoldsThePort) {
  const Fd first = std::move(*bind_udp(kAny, {.reuse_port = true}));
  const IpPort address = bound_to(first);
  const auto second = bind_udp(address, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EADDRINUSE);
  EXPECT_EQ(second.error().message, "bind " + address.to_string() + ": Address already in use");
  EXPECT_TRUE(bind_udp(address, {.reuse_port = true}));
}

TEST(Socket, AnAddressThatTheHostLacksNeedsFreeBind) {
  const IpPort absent{*IpAddress::parse("192.0.2.1"), 0};
  EXPECT_EQ(bind_udp(absent, {}).error().code, EADDRNOTAVAIL);
  EXPECT_TRUE(bind_udp(absent, {.free_bind = true}));
  EXPECT_TRUE(listen_tcp(absent, {.free_bind = true}));
}

TEST(SocketAddress, KeepsAddressPortAndScope) {
  for (const IpPort& address :
       {IpPort{*IpAddress::parse("192.0.2.7"), 53}, IpPort{*IpAddress::parse("fe80::1"), 5353, 3}}) {
    EXPECT_EQ(SocketAddress(address).to_ip_port(), address);
  }
}

}  // namespace
}  // namespace har::net
