#include "forward/udp_sockets.h"

#include <gtest/gtest.h>

#include <set>

#include "net/clock.h"
#include "net/sockaddr.h"
#include "net/socket.h"

namespace har::forward {
namespace {

using std::chrono::seconds;

struct UdpSocketsTest : testing::Test {
  net::Loop loop;
  Pending pending;
  Random random;
  int got = 0;
  std::set<std::uint32_t> unsent;
  UdpSockets sockets{loop,
                     pending,
                     random,
                     64,
                     [this](std::uint32_t, std::span<std::uint8_t>) { ++got; },
                     [](std::uint32_t) {},
                     [this](std::uint32_t ref) {
                       unsent.insert(ref);
                       EXPECT_TRUE(sockets.send(0, ref, now));
                     },
                     [] {}};
  net::Fd upstream;
  IpPort address;
  Instant now = net::now();

  void SetUp() override {
    auto fd = net::bind_udp(IpPort{*IpAddress::parse("127.0.0.1"), 0, 0}, {});
    ASSERT_TRUE(fd);
    upstream = std::move(*fd);
    net::SocketAddress name;
    socklen_t size = sizeof name;
    getsockname(upstream.get(), &name.generic, &size);
    address = name.to_ip_port();
    sockets.set_upstream(0, address);
  }
  // Sends one query; the port that it came from.
  std::uint16_t send(bool answered = true) {
    std::array<std::uint8_t, 12> query{};
    const std::uint32_t record = pending.take(Record::State::kActive);
    pending.keep_query(record, query);
    const auto ref = Pending::ref(record, 0);
    EXPECT_TRUE(sockets.queue(0, ref, now));
    sockets.flush();
    net::SocketAddress from;
    socklen_t size = sizeof from;
    EXPECT_EQ(recvfrom(upstream.get(), query.data(), query.size(), 0, &from.generic, &size), 12);
    EXPECT_EQ(pending.handle(ref).id, query[0] << 8 | query[1]);
    if (answered) {
      const std::uint32_t channel = pending.handle(ref).channel;
      pending.unlink(ref);
      sockets.close_if_done(channel);
      pending.release(Pending::record_of(ref));
    } else {
      outstanding.push_back(ref);
    }
    return from.to_ip_port().port;
  }
  std::vector<std::uint32_t> outstanding;
};

TEST_F(UdpSocketsTest, NoneIsOpenBeforeTheFirstQuery) { EXPECT_EQ(sockets.open(), 0U); }

TEST_F(UdpSocketsTest, ABusyForwarderUsesSixtyFourPorts) {
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 2000; ++i) ports.insert(send());
  EXPECT_EQ(ports.size(), 64U);
  EXPECT_EQ(sockets.open(), 64U);
}

TEST_F(UdpSocketsTest, EachIsRenewedAtUseAfterTenSeconds) {
  std::set<std::uint16_t> before;
  std::set<std::uint16_t> after;
  for (int i = 0; i < 2000; ++i) before.insert(send());
  now += seconds(10);
  for (int i = 0; i < 2000; ++i) after.insert(send());
  EXPECT_EQ(sockets.open(), 64U);
  int same = 0;
  for (const std::uint16_t port : after) same += before.contains(port) ? 1 : 0;
  EXPECT_LE(same, 8);  // by chance one of 28,000 may come back
}

TEST_F(UdpSocketsTest, ARenewedOneWithQueriesOutstandingListensOnUntilTheyEnd) {
  const std::uint16_t port = send(false);
  const std::uint32_t ref = outstanding[0];
  const std::uint32_t channel = pending.handle(ref).channel;
  now += seconds(10);
  sockets.retire(channel);
  EXPECT_EQ(sockets.open(), 1U);
  const net::SocketAddress to(IpPort{*IpAddress::parse("127.0.0.1"), port, 0});
  ASSERT_EQ(sendto(upstream.get(), "hello", 5, 0, &to.generic, to.size()), 5);
  while (got == 0) loop.run_once();
  pending.unlink(ref);
  sockets.close_if_done(channel);
  EXPECT_EQ(sockets.open(), 0U);
}

TEST_F(UdpSocketsTest, AnIdleForwarderClosesWhatIsTooOld) {
  send();
  send(false);
  now += seconds(10);
  sockets.sweep(now);
  EXPECT_EQ(sockets.open(), 1U);  // the one that waits
}

TEST_F(UdpSocketsTest, AStrangersDatagramDoesNotArrive) {
  const std::uint16_t port = send(false);
  auto stranger = net::bind_udp(IpPort{*IpAddress::parse("127.0.0.1"), 0, 0}, {});
  ASSERT_TRUE(stranger);
  const net::SocketAddress to(IpPort{*IpAddress::parse("127.0.0.1"), port, 0});
  sendto(stranger->get(), "forged", 6, 0, &to.generic, to.size());
  ASSERT_EQ(sendto(upstream.get(), "hello", 5, 0, &to.generic, to.size()), 5);
  while (got == 0) loop.run_once();
  EXPECT_EQ(got, 1);
}

TEST_F(UdpSocketsTest, WhatCannotBeSentIsSaidAndLeavesNothingBehind) {
  sockets.set_upstream(1, IpPort{*IpAddress::parse("255.255.255.255"), 53, 0});  // EACCES
  const std::uint32_t record = pending.take(Record::State::kActive);
  pending.keep_query(record, std::array<std::uint8_t, 12>{});
  const auto ref = Pending::ref(record, 0);
  EXPECT_FALSE(sockets.queue(1, ref, now));
  EXPECT_FALSE(sockets.send(1, ref, now));
  EXPECT_EQ(pending.handle(ref).channel, kNone);
  EXPECT_EQ(sockets.open(), 0U);
}

TEST_F(UdpSocketsTest, TheQueriesOfOneTurnShareASocketAndLeaveTogether) {
  std::set<std::uint32_t> channels;
  std::vector<std::uint32_t> refs;
  for (int i = 0; i < 20; ++i) {
    const std::uint32_t record = pending.take(Record::State::kActive);
    pending.keep_query(record, std::array<std::uint8_t, 12>{0, 0, static_cast<std::uint8_t>(i)});
    refs.push_back(Pending::ref(record, 0));
    ASSERT_TRUE(sockets.queue(0, refs.back(), now));
    channels.insert(pending.handle(refs.back()).channel);
  }
  EXPECT_EQ(channels.size(), 1U);
  std::array<std::uint8_t, 12> query{};
  EXPECT_EQ(recv(upstream.get(), query.data(), query.size(), MSG_DONTWAIT), -1);
  sockets.flush();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(recv(upstream.get(), query.data(), query.size(), MSG_DONTWAIT), 12);
    EXPECT_EQ(query[0] << 8 | query[1], pending.handle(refs[static_cast<std::size_t>(i)]).id);
    EXPECT_EQ(query[2], i);
  }
}

TEST_F(UdpSocketsTest, WhatEndsBeforeItLeavesIsNotSent) {
  const std::uint32_t record = pending.take(Record::State::kActive);
  pending.keep_query(record, std::array<std::uint8_t, 12>{});
  const auto ref = Pending::ref(record, 0);
  ASSERT_TRUE(sockets.queue(0, ref, now));
  pending.unlink(ref);
  pending.release(record);
  sockets.flush();
  std::array<std::uint8_t, 12> query{};
  EXPECT_EQ(recv(upstream.get(), query.data(), query.size(), MSG_DONTWAIT), -1);
  send();  // what comes next does
}

// Makes every later send() on our sockets to this upstream fail (EPIPE), as it does after a change of routes
// (ENETUNREACH, EHOSTUNREACH, EINVAL: the same path). The sockets are found among all descriptors.
int break_sockets_to(const IpPort& upstream) {
  int broken = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    net::SocketAddress peer;
    socklen_t size = sizeof peer;
    if (getpeername(fd, &peer.generic, &size) != 0 || peer.to_ip_port() != upstream) continue;
    broken += shutdown(fd, SHUT_WR) == 0 ? 1 : 0;
  }
  return broken;
}

TEST_F(UdpSocketsTest, ASocketThatCannotSendAnyMoreIsRenewedAndTheQueryStillGoesOut) {
  for (int i = 0; i < 2000; ++i) send();
  send(false);
  const std::uint32_t waiting = pending.handle(outstanding[0]).channel;
  ASSERT_EQ(break_sockets_to(address), 64);
  for (int i = 0; i < 2000; ++i) send();
  EXPECT_TRUE(pending.channel(waiting).retired);
  EXPECT_EQ(sockets.open(), 65U);  // 64 new ones, and the one that listens on
}

// More than leave by one call: those of the first call were told in the middle of the caller's work, which could end
// the very query that it was at.
TEST_F(UdpSocketsTest, WhatCouldNotBeSentIsToldAtTheEndOfTheTurnAndNotWhereItHasEnded) {
  for (int i = 0; i < 2000; ++i) send();
  ASSERT_EQ(break_sockets_to(address), 64);
  std::set<std::uint32_t> refs;
  for (int i = 0; i < 40; ++i) {
    const std::uint32_t record = pending.take(Record::State::kActive);
    pending.keep_query(record, std::array<std::uint8_t, 12>{});
    refs.insert(Pending::ref(record, 0));
    ASSERT_TRUE(sockets.queue(0, Pending::ref(record, 0), now));
    EXPECT_TRUE(unsent.empty()) << i;
  }
  const std::uint32_t ended = *refs.begin();
  const std::uint32_t channel = pending.handle(ended).channel;
  pending.unlink(ended);
  sockets.close_if_done(channel);
  pending.release(Pending::record_of(ended));
  refs.erase(ended);
  sockets.flush();
  EXPECT_EQ(unsent, refs);
  for (const std::uint32_t ref : refs) EXPECT_NE(pending.handle(ref).channel, kNone);
}

}  // namespace
}  // namespace har::forward
