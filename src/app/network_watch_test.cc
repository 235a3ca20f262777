#include "app/network_watch.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <vector>

namespace har::app {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<std::uint8_t> message(std::uint16_t type, const rtmsg& route = {}) {
  std::vector<std::uint8_t> bytes(NLMSG_SPACE(sizeof route));
  nlmsghdr head{};
  head.nlmsg_len = NLMSG_LENGTH(sizeof route);
  head.nlmsg_type = type;
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + NLMSG_HDRLEN, &route, sizeof route);
  return bytes;
}

rtmsg route(std::uint8_t table, std::uint8_t type, unsigned flags = 0) {
  rtmsg route{};
  route.rtm_table = table;
  route.rtm_type = type;
  route.rtm_flags = flags;
  return route;
}

TEST(Netlink, TellsLinksAndRoutesFromTheRest) {
  EXPECT_EQ(read_netlink(message(RTM_NEWLINK)), (NetlinkNews{true, false, false}));
  EXPECT_EQ(read_netlink(message(RTM_DELADDR)), (NetlinkNews{true, false, false}));
  EXPECT_EQ(read_netlink(message(RTM_NEWROUTE, route(RT_TABLE_MAIN, RTN_UNICAST))), (NetlinkNews{false, true, false}));
  EXPECT_EQ(read_netlink(message(RTM_DELROUTE, route(RT_TABLE_MAIN, RTN_BLACKHOLE))),
            (NetlinkNews{false, true, false}));
  EXPECT_EQ(read_netlink(message(RTM_NEWROUTE, route(RT_TABLE_LOCAL, RTN_LOCAL))), NetlinkNews{});
  EXPECT_EQ(read_netlink(message(RTM_NEWROUTE, route(RT_TABLE_MAIN, RTN_UNICAST, RTM_F_CLONED))), NetlinkNews{});
  EXPECT_EQ(read_netlink(message(RTM_NEWRULE)), (NetlinkNews{false, false, true}));
  EXPECT_EQ(read_netlink(message(RTM_NEWNEIGH)), NetlinkNews{});
}

TEST(Netlink, ReadsSeveralMessagesAndNoOctetBeyondThem) {
  auto two = message(RTM_NEWNEIGH);
  const auto second = message(RTM_NEWROUTE, route(RT_TABLE_MAIN, RTN_UNICAST));
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_TRUE(read_netlink(two).routes);
  for (std::size_t size = 0; size < two.size(); ++size) {
    const std::vector<std::uint8_t> cut(two.begin(), two.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(read_netlink(cut).routes) << size;
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
