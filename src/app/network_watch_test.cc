#include "app/network_watch.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

namespace har::app {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<std::uint8_t> message(std::uint16_t type, const rtmsg& route = {}, std::vector<std::uint8_t> to = {}) {
  std::vector<std::uint8_t> bytes(NLMSG_SPACE(sizeof route));
  std::memcpy(bytes.data() + NLMSG_HDRLEN, &route, sizeof route);
  if (!to.empty()) {
    rtattr attribute{static_cast<unsigned short>(RTA_LENGTH(to.size())), RTA_DST};
    bytes.insert(bytes.end(), reinterpret_cast<std::uint8_t*>(&attribute),
                 reinterpret_cast<std::uint8_t*>(&attribute + 1));
    bytes.insert(bytes.end(), to.begin(), to.end());
  }
  nlmsghdr head{};
  head.nlmsg_len = static_cast<std::uint32_t>(bytes.size());
  head.nlmsg_type = type;
  std::memcpy(bytes.data(), &head, sizeof head);
  bytes.resize(NLMSG_ALIGN(bytes.size()));
  return bytes;
}

rtmsg route(std::uint8_t table, std::uint8_t type, unsigned flags = 0) {
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = table;
  route.rtm_type = type;
  route.rtm_flags = flags;
  return route;
}

NetlinkNews read(const std::vector<std::uint8_t>& datagram) {
  NetlinkNews news;
  read_netlink(datagram, news);
  return news;
}

IpPrefix prefix(const char* text) { return *IpPrefix::parse(text); }

TEST(Netlink, TellsLinksAndRoutesFromTheRest) {
  const NetlinkNews links{true, {}, false}, anywhere{false, {prefix("0.0.0.0/0")}, false};
  EXPECT_EQ(read(message(RTM_NEWLINK)), links);
  EXPECT_EQ(read(message(RTM_DELADDR)), links);
  EXPECT_EQ(read(message(RTM_NEWROUTE, route(RT_TABLE_MAIN, RTN_UNICAST))), anywhere);
  EXPECT_EQ(read(message(RTM_DELROUTE, route(RT_TABLE_MAIN, RTN_BLACKHOLE))), anywhere);
  EXPECT_EQ(read(message(RTM_NEWROUTE, route(RT_TABLE_LOCAL, RTN_LOCAL))), NetlinkNews{});
  EXPECT_EQ(read(message(RTM_NEWROUTE, route(RT_TABLE_MAIN, RTN_UNICAST, RTM_F_CLONED))), NetlinkNews{});
  EXPECT_EQ(read(message(RTM_NEWNEIGH)), NetlinkNews{});
}

TEST(Netlink, TellsWhereARouteLeadsTo) {
  rtmsg to = route(RT_TABLE_MAIN, RTN_UNICAST);
  to.rtm_dst_len = 16;
  EXPECT_EQ(read(message(RTM_NEWROUTE, to, {172, 18, 0, 0})).routes, std::vector{prefix("172.18.0.0/16")});
  EXPECT_EQ(read(message(RTM_NEWROUTE, to, {172, 18})).routes, std::vector{prefix("0.0.0.0/16")}) << "cut";
  to.rtm_dst_len = 200;
  EXPECT_EQ(read(message(RTM_NEWROUTE, to, {172, 18, 0, 7})).routes, std::vector{prefix("172.18.0.7/32")});
  to.rtm_family = AF_INET6;
  to.rtm_dst_len = 32;
  EXPECT_EQ(read(message(RTM_DELROUTE, to, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})).routes,
            std::vector{prefix("2001:db8::/32")});
}

TEST(Netlink, TooManyRoutesAreEverything) {
  NetlinkNews news;
  for (int i = 0; i < 2; ++i) {
    for (std::uint8_t n = 0; n < 128; ++n) {
      rtmsg to = route(RT_TABLE_MAIN, RTN_UNICAST);
      to.rtm_dst_len = 32;
      read_netlink(message(RTM_NEWROUTE, to, {10, 0, static_cast<std::uint8_t>(i), n}), news);
      read_netlink(message(RTM_DELROUTE, to, {10, 0, static_cast<std::uint8_t>(i), n}), news);
    }
  }
  EXPECT_FALSE(news.is_everything);
  read_netlink(message(RTM_NEWROUTE, route(RT_TABLE_MAIN, RTN_UNICAST)), news);
  EXPECT_TRUE(news.is_everything);
  EXPECT_EQ(news.routes.size(), NetlinkNews::kMostRoutes);
}

TEST(Netlink, ReadsSeveralMessagesAndNoOctetBeyondThem) {
  auto two = message(RTM_NEWNEIGH);
  const auto second = message(RTM_NEWROUTE, route(RT_TABLE_MAIN, RTN_UNICAST), {10, 0, 0, 0});
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_EQ(read(two).routes.size(), 1U);
  for (std::size_t size = 0; size < two.size(); ++size) {
    const std::vector<std::uint8_t> cut(two.begin(), two.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_TRUE(read(cut).routes.empty()) << size;
  }
}

TEST(WakeSign, ASleepIsTheTimeThatOnlyTheBootClockCounts) {
  WakeSign sign;
  Instant monotonic{hours(1)}, boot{hours(5)};
  EXPECT_EQ(sign.look(monotonic, boot), WakeSign::What::kNothing) << "slept before we were started";
  EXPECT_EQ(sign.look(monotonic += milliseconds(200), boot += milliseconds(200)), WakeSign::What::kNothing);
  EXPECT_EQ(sign.look(monotonic += milliseconds(200), boot += milliseconds(290)), WakeSign::What::kNothing);
  EXPECT_EQ(sign.look(monotonic += milliseconds(200), boot += hours(8)), WakeSign::What::kResumed);
  EXPECT_EQ(sign.look(monotonic += milliseconds(200), boot += milliseconds(200)), WakeSign::What::kNothing) << "once";
}

TEST(WakeSign, AProcessThatWasStoppedIsToldFromABusyOne) {
  WakeSign sign;
  Instant monotonic{hours(1)}, boot{hours(1)};
  sign.look(monotonic, boot);
  EXPECT_EQ(sign.look(monotonic += seconds(4), boot += seconds(4)), WakeSign::What::kNothing);
  EXPECT_EQ(sign.look(monotonic += seconds(60), boot += seconds(60)), WakeSign::What::kStopped);
}

}  // namespace
}  // namespace har::app
