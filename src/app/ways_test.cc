#include "app/ways.h"

#include <gtest/gtest.h>

#include <chrono>

#include "app/rounds.h"

namespace har::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

IpPort to(const char* text) { return {*IpAddress::parse(text), 53, 0}; }

Ways::Way way(const char* interface, const char* source) { return {interface, IpAddress::parse(source), {}, true}; }

NetworkChange of_interfaces(std::set<std::string> names) { return {"links", std::move(names), false}; }
class WaysTest : public testing::Test {
 protected:
  WaysTest() {
    look();
    EXPECT_FALSE(ways_.take_concern({}));
  }
  void look() { ways_.set(found_); }

  Ways::Found found_{{to("192.0.2.1"), way("eth0", "10.0.0.5")},
                     {to("198.51.100.7"), way("eth1", "10.1.0.5")},
                     {to("2001:db8::1"), way("eth0", "2001:db8:1::5")}};
  Ways ways_;
};

TEST_F(WaysTest, AnInterfaceThatNobodyUsesConcernsNobody) {
  EXPECT_FALSE(ways_.take_concern(of_interfaces({"docker0", "veth1a2b"})));
  EXPECT_TRUE(ways_.take_concern(of_interfaces({"docker0", "eth1"})));
  EXPECT_FALSE(ways_.take_concern({})) << "once";
}

TEST_F(WaysTest, AWayThatHasMovedIsAChangeHoweverItWasFound) {
  found_[to("192.0.2.1")]->source = IpAddress::parse("10.0.0.6");
  look();
  EXPECT_TRUE(ways_.take_concern({}));
  found_[to("192.0.2.1")]->gateway = IpAddress::parse("10.0.0.1");
  look();
  EXPECT_TRUE(ways_.take_concern({}));
  found_[to("192.0.2.1")]->works = false;
  look();
  found_[to("192.0.2.1")]->works = true;
  look();
  EXPECT_TRUE(ways_.take_concern({})) << "there and back is two changes";
  EXPECT_FALSE(ways_.take_concern({}));
}

TEST_F(WaysTest, TheInterfaceThatHasJustBeenLeftIsStillOne) {
  found_.erase(to("198.51.100.7"));
  look();
  EXPECT_TRUE(ways_.take_concern(of_interfaces({"eth1"})));
  EXPECT_FALSE(ways_.take_concern(of_interfaces({"eth1"})));
}

TEST_F(WaysTest, TargetsThatComeAndGoAreNoChange) {
  found_.emplace(to("203.0.113.1"), way("eth2", "10.2.0.5"));
  found_.erase(to("192.0.2.1"));
  look();
  EXPECT_FALSE(ways_.take_concern({}));
}

TEST_F(WaysTest, WhatCannotBeToldIsAsItWas) {
  found_[to("192.0.2.1")].reset();
  look();
  EXPECT_FALSE(ways_.take_concern({}));
  found_[to("192.0.2.1")] = way("eth0", "10.0.0.5");
  look();
  EXPECT_FALSE(ways_.take_concern({}));
  found_[to("192.0.2.1")] = Ways::Way{};
  look();
  EXPECT_TRUE(ways_.take_concern({}));
}

TEST_F(WaysTest, OneWayThatWorksIsEnough) {
  EXPECT_TRUE(ways_.is_usable());
  for (auto& [target, way] : found_) way->works = false;
  look();
  EXPECT_FALSE(ways_.is_usable());
  found_[to("192.0.2.1")].reset();
  look();
  EXPECT_FALSE(ways_.is_usable()) << "as it was";
  found_[to("203.0.113.9")].reset();
  look();
  EXPECT_TRUE(ways_.is_usable()) << "that there is none must be known";
  found_.clear();
  look();
  EXPECT_TRUE(ways_.is_usable());
}

TEST_F(WaysTest, ThisHostsOwnAddressesAreNoWayOut) {
  for (auto& [target, way] : found_) way->works = false;
  found_[to("203.0.113.1")] = Ways::Way{"lo", IpAddress::parse("203.0.113.1"), {}, true, true};
  look();
  EXPECT_FALSE(ways_.is_usable());
  ways_.take_concern({});
  found_[to("203.0.113.1")] = way("eth0", "10.0.0.5");
  look();
  EXPECT_TRUE(ways_.take_concern({})) << "the address is another host's now";
  found_ = {{to("203.0.113.1"), Ways::Way{"lo", IpAddress::parse("203.0.113.1"), {}, false, true}}};
  look();
  EXPECT_TRUE(ways_.is_usable()) << "there is nobody elsewhere";
}

TEST_F(WaysTest, ASleepConcernsAll) { EXPECT_TRUE(ways_.take_concern({"resumed", {}, true})); }

TEST(Interfaces, AnAddressOrACarrierThatIsAnotherChangesItsInterface) {
  const auto ip = [](const char* text) { return IpAddress::parse(text); };
  const std::vector<InterfaceAddress> before{
      {"lo", ip("127.0.0.1"), true}, {"eth0", ip("10.0.0.5"), true}, {"eth1", {}, true}};
  auto after = before;
  EXPECT_TRUE(changed_interfaces(before, after).empty());
  after[1].ip = ip("10.0.0.6");
  after[2].works = false;
  after.push_back({"veth0", {}, true});
  EXPECT_EQ(changed_interfaces(before, after), (std::set<std::string>{"eth0", "eth1", "veth0"}));
}

TEST(Interfaces, EachHasItsNumber) {
  const auto all = interface_addresses().value();
  EXPECT_FALSE(all.empty());
  for (const InterfaceAddress& one : all) EXPECT_EQ(one.index != 0, !one.ip) << one.name;
}

TEST(Ways, TheKernelTellsTheWayToThisHost) {
  const std::vector<IpPort> loopback{to("127.0.0.1"), to("127.0.0.2")};
  const auto found = Ways::find(loopback, interface_addresses().value());
  ASSERT_TRUE(found.at(loopback[0]));
  EXPECT_EQ(*found.at(loopback[0]), (Ways::Way{"lo", IpAddress::parse("127.0.0.1"), {}, true, true}));
  EXPECT_EQ(found.at(loopback[1])->interface, "lo");
}

TEST(Rounds, TenAtOnceAndThenOneEveryTenSeconds) {
  Rounds rounds;
  Instant now{seconds(1000)};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(rounds.take(now));
  EXPECT_FALSE(rounds.take(now));
  EXPECT_EQ(rounds.next(), now + seconds(10));
  EXPECT_FALSE(rounds.take(now + milliseconds(9999)));
  EXPECT_TRUE(rounds.take(now += seconds(10)));
  EXPECT_FALSE(rounds.take(now));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(rounds.take(now + seconds(500)));
  EXPECT_FALSE(rounds.take(now + seconds(500)));
}

TEST(Rounds, TenAtOnceAlsoJustAfterBoot) {
  Rounds rounds;
  const Instant now{seconds(3)};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(rounds.take(now));
  EXPECT_FALSE(rounds.take(now));
  EXPECT_EQ(rounds.next(), now + seconds(10));
}

}  // namespace
}  // namespace har::app
