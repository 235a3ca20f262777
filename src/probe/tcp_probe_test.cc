#include "probe/tcp_probe.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <future>

#include "probe/polite_close.h"
#include "probe/testing.h"
#include "probe/verdict.h"

namespace har::probe {
namespace {

using config::CheckMethod;
using health::Outcome;
using std::chrono::milliseconds;
using testing::Peer;
using testing::probe_once;
using testing::Server;
using testing::target;

TEST(TcpProbe, ACompletedConnectIsOkWithTheKernelsRtt) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    Server server([](const Peer& p) { p.read_end(); }, family);
    const auto single = probe_once(target(CheckMethod::kTcp, server.port(), testing::loopback(family)));
    EXPECT_EQ(single.outcome(), Outcome::kOk);
    EXPECT_GT(single.observation->connect, Duration::zero());
    EXPECT_LT(single.observation->connect, milliseconds(20));
    EXPECT_GE(single.observation->total, single.observation->connect);
    EXPECT_EQ(single.observation->ended - single.observation->started, single.observation->total);
  }
}

TEST(TcpProbe, AClosedPortIsRefused) {
  std::uint16_t port = 0;
  {
    port = Server([](const Peer&) {}).port();
  }
  const auto single = probe_once(target(CheckMethod::kTcp, port));
  EXPECT_EQ(single.outcome(), Outcome::kConnectError);
  EXPECT_EQ(single.reason(), "refused");
  EXPECT_EQ(single.observation->connect, Duration::zero());
}

TEST(TcpProbe, AnUnreachableNetworkIsAConnectError) {
  const auto single = probe_once(target(CheckMethod::kTcp, 80, *IpAddress::parse("255.255.255.255")));
  EXPECT_EQ(single.outcome(), Outcome::kConnectError);
  EXPECT_EQ(single.reason(), "network unreachable");
}

// A listener whose queue is full answers no SYN.
TEST(TcpProbe, SilenceIsATimeoutAfterCheckTimeout) {
  net::SocketAddress address(IpPort{.ip = testing::loopback()});
  const net::Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  socklen_t size = address.size();
  ASSERT_EQ(bind(listener.get(), &address.generic, size), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  getsockname(listener.get(), &address.generic, &size);
  std::vector<net::Fd> fill;
  for (int i = 0; i < 4; ++i) {
    fill.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)connect(fill.back().get(), &address.generic, size);
  }
  auto t = target(CheckMethod::kTcp, address.to_ip_port().port);
  t.check.timeout = milliseconds(300);
  const auto single = probe_once(t);
  EXPECT_EQ(single.outcome(), Outcome::kTimeout);
  EXPECT_EQ(single.reason(), "timeout connecting");
  EXPECT_GE(single.observation->total, milliseconds(300));
  EXPECT_LT(single.observation->total, milliseconds(400));
}

TEST(TcpProbe, AServerThatSpeaksFirstSeesAnOrderlyEndAndNoReset) {
  std::promise<int> end;
  Server server([&](const Peer& p) {
    p.send("220 mail.example.test ready\r\n");
    end.set_value(p.read_end());
  });
  net::Loop loop;
  PoliteCloser closer(loop);
  TcpProbe probe([&](int error) {
    EXPECT_EQ(error, 0);
    std::this_thread::sleep_for(milliseconds(20));  // the greeting is there, unread
    closer.close(probe.take_socket());
    loop.stop();
  });
  ASSERT_EQ(probe.start(loop, {.ip = testing::loopback(), .port = server.port()}), 0);
  loop.run();
  EXPECT_EQ(end.get_future().get(), 0);
  net::Timer later(loop, [&] { loop.stop(); });
  later.set(milliseconds(400));
  loop.run();
  EXPECT_EQ(closer.waiting(), 0U);
}

TEST(PoliteClose, HoldsABoundedNumberOfDescriptorsAndLetsGoInTime) {
  net::Loop loop;
  PoliteCloser closer(loop);
  std::vector<net::Fd> peers;
  for (int i = 0; i < 400; ++i) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    closer.close(net::Fd(ends[0]));
    peers.emplace_back(ends[1]);
  }
  EXPECT_EQ(closer.waiting(), 256U);
  net::Timer later(loop, [&] { loop.stop(); });
  later.set(milliseconds(400));
  loop.run();
  EXPECT_EQ(closer.waiting(), 0U);
}

TEST(Verdict, OurOwnShortagesSayNothingOfTheEndpoint) {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, kNoFreePort}) EXPECT_FALSE(connect_verdict(error));
  EXPECT_EQ(connect_verdict(ECONNREFUSED)->reason, "refused");
  EXPECT_EQ(connect_verdict(EHOSTUNREACH)->outcome, Outcome::kConnectError);
  EXPECT_EQ(connect_verdict(ETIMEDOUT)->outcome, Outcome::kTimeout);
  EXPECT_EQ(connect_verdict(EPERM)->outcome, Outcome::kOtherError);
  EXPECT_EQ(connect_verdict(EADDRNOTAVAIL)->outcome, Outcome::kConnectError);
}

}  // namespace
}  // namespace har::probe
