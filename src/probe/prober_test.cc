#include "probe/prober.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "probe/lateness.h"
#include "probe/testing.h"

namespace har::probe {
namespace {

using config::CheckMethod;
using health::CheckId;
using health::Observation;
using health::Outcome;
using health::Pace;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::answers;
using testing::Peer;
using testing::Server;
using testing::target;

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// A prober on a loop of its own, with everything that it observed.
struct Bench {
  explicit Bench(ProbeLimits limits = {})
      : prober(loop, log, limits, 1, [this](CheckId id, const Observation& o) {
          EXPECT_FALSE(inside_add);
          observed[id].push_back(o);
          if (on_observation) on_observation(id, o);
          if (until && until()) loop.stop();
        }) {}

  void add(CheckId id, const health::CheckTarget& t, const Pace& pace = {}) {
    inside_add = true;
    prober.add(id, t, pace);
    inside_add = false;
  }
  // False when `patience` was over first.
  bool run_until(std::function<bool()> condition, Duration patience = seconds(20)) {
    until = std::move(condition);
    bool in_time = true;
    net::Timer end(loop, [&] {
      in_time = false;
      loop.stop();
    });
    end.set(patience);
    if (!until()) loop.run();
    until = {};
    return in_time;
  }
  void run_for(Duration time) {
    run_until([] { return false; }, time);
  }

  net::Loop loop;
  Log log{"", LogLevel::kError};
  std::map<CheckId, std::vector<Observation>> observed;
  std::function<void(CheckId, const Observation&)> on_observation;
  std::function<bool()> until;
  bool inside_add = false;
  Prober prober;
};

std::uint16_t closed_port() {
  return Server([](const Peer&) {}).port();
}

TEST(Prober, EachProbeYieldsExactlyOneObservationAndANewConnection) {
  Server server(answers(kOk));
  Bench bench;
  auto t = target(CheckMethod::kHttp, server.port());
  t.check.frequency = milliseconds(100);
  t.check.frequency_changing = milliseconds(25);
  bench.add(1, t);
  ASSERT_TRUE(bench.run_until([&] { return bench.observed[1].size() == 20; }));
  EXPECT_EQ(bench.prober.stats().started, 20U + bench.prober.in_flight());
  EXPECT_GE(server.connections(), 20);
  int on_time = 0;  // a busy machine may delay some
  for (std::size_t i = 1; i < 20; ++i) {
    EXPECT_EQ(bench.observed[1][i].outcome, Outcome::kOk);
    if (bench.observed[1][i].started - bench.observed[1][i - 1].started <= milliseconds(160)) ++on_time;
  }
  EXPECT_GE(on_time, 10);
}

TEST(Prober, AThousandChecksHaveTheirFirstObservationSoonAndTheRightOne) {
  Server server(answers(kOk)), failing(answers("HTTP/1.1 500 No\r\n\r\n"));
  const std::uint16_t closed = closed_port();
  Bench bench;
  for (CheckId id = 0; id < 1'000; ++id) {
    const auto method = id % 4 == 0 ? CheckMethod::kTcp : CheckMethod::kHttp;
    const std::uint16_t port = id % 4 == 1 ? closed : id % 4 == 2 ? failing.port() : server.port();
    auto t = target(method, port);
    t.check.timeout = seconds(10);
    t.check.frequency = seconds(60);
    bench.add(id, t);
  }
  ASSERT_TRUE(bench.run_until([&] { return bench.observed.size() == 1'000; }));
  for (const auto& [id, seen] : bench.observed) {
    const Outcome expected = id % 4 == 1   ? Outcome::kConnectError
                             : id % 4 == 2 ? Outcome::kResponseError
                                           : Outcome::kOk;
    EXPECT_EQ(seen.front().outcome, expected) << id << " " << seen.front().reason;
  }
}

TEST(Prober, ARemovedCheckIsHeardOfNoMore) {
  Server silent([](const Peer& p) { p.read_end(); });
  Bench bench;
  auto t = target(CheckMethod::kHttp, silent.port());
  t.check.timeout = milliseconds(200);
  bench.add(1, t);
  t.check.timeout = milliseconds(400);
  bench.add(2, t);
  bench.run_for(milliseconds(50));
  EXPECT_EQ(bench.prober.in_flight(), 2U);
  bench.prober.remove(1);
  EXPECT_EQ(bench.prober.in_flight(), 1U);
  ASSERT_TRUE(bench.run_until([&] { return !bench.observed[2].empty(); }));
  EXPECT_TRUE(bench.observed[1].empty());
}

TEST(Prober, ACheckMayBeRemovedAndOthersAddedFromInsideItsObservation) {
  Server server(answers(kOk));
  const std::uint16_t closed = closed_port();
  Bench bench;
  CheckId next = 100;
  bench.on_observation = [&](CheckId id, const Observation&) {
    bench.prober.remove(id);
    for (CheckId other = 0; other < 8; ++other) bench.prober.remove(other);
    if (next >= 140) return;
    ++next;
    const auto method = next % 2 == 0 ? CheckMethod::kHttp : CheckMethod::kTcp;
    bench.prober.add(next, target(method, next % 3 == 0 ? closed : server.port()), {});
  };
  for (CheckId id = 0; id < 8; ++id) {
    bench.add(id, target(id % 2 == 0 ? CheckMethod::kHttp : CheckMethod::kTcp, server.port()));
  }
  ASSERT_TRUE(bench.run_until([&] { return bench.observed.contains(140); }));
  EXPECT_EQ(bench.prober.in_flight(), 0U);
}

TEST(Prober, AnEndpointThatDiesIsAskedAsOftenAsItsPaceSays) {
  const std::uint16_t closed = closed_port();
  Bench bench;
  bench.on_observation = [&](CheckId id, const Observation&) {
    Pace pace;
    pace.disagrees = pace.refused = true;
    bench.prober.repace(id, pace);
  };
  bench.add(1, target(CheckMethod::kTcp, closed));
  ASSERT_TRUE(bench.run_until([&] { return bench.observed[1].size() == 4; }));
  for (int i = 1; i < 4; ++i) {
    const Duration gap = bench.observed[1][static_cast<std::size_t>(i)].started -
                         bench.observed[1][static_cast<std::size_t>(i) - 1].started;
    EXPECT_GE(gap, milliseconds(94));  // what is due within 5 ms starts together
    EXPECT_LE(gap, milliseconds(180));
  }
}

TEST(Prober, CheckNowDoesNotWaitForTheSchedule) {
  Server server(answers(kOk));
  Bench bench;
  auto t = target(CheckMethod::kHttp, server.port());
  t.check.frequency = seconds(3'600);
  t.check.frequency_changing = seconds(900);
  bench.add(1, t);
  ASSERT_TRUE(bench.run_until([&] { return bench.observed[1].size() == 1; }));
  bench.prober.check_now(1);
  ASSERT_TRUE(bench.run_until([&] { return bench.observed[1].size() == 2; }, seconds(2)));
}

TEST(Prober, ATimeoutDuringAStallOfOurOwnLoopIsAskedAgainInsteadOfHeldAgainstTheEndpoint) {
  std::atomic<int> asked = 0;
  Server server([&](const Peer& p) {
    p.read_head();
    if (++asked == 1) return (void)p.read_end();  // silent the first time
    p.send(kOk);
  });
  Bench bench;
  auto t = target(CheckMethod::kHttp, server.port());
  t.check.timeout = milliseconds(300);
  t.check.frequency = seconds(60);
  t.check.frequency_changing = seconds(15);
  bench.add(1, t);
  net::Timer stall(bench.loop, [] { std::this_thread::sleep_for(milliseconds(400)); });
  stall.set(milliseconds(100));
  ASSERT_TRUE(bench.run_until([&] { return !bench.observed[1].empty(); }));
  EXPECT_EQ(bench.observed[1].front().outcome, Outcome::kOk);
  EXPECT_EQ(bench.prober.stats().discarded, 1U);
  EXPECT_EQ(asked, 2);
}

TEST(Prober, AShortStallOfOurOwnLoopDelaysATimeoutByAsMuch) {
  Server silent([](const Peer& p) { p.read_end(); });
  Bench bench;
  auto t = target(CheckMethod::kHttp, silent.port());
  t.check.timeout = seconds(1);
  t.check.frequency = seconds(60);
  t.check.frequency_changing = seconds(15);
  bench.add(1, t);
  Duration stood_still{};
  net::Timer stall(bench.loop, [&] {
    const Instant from = net::now();
    std::this_thread::sleep_for(milliseconds(150));
    stood_still = net::now() - from;
  });
  stall.set(milliseconds(300));
  ASSERT_TRUE(bench.run_until([&] { return !bench.observed[1].empty(); }));
  const Observation& o = bench.observed[1].front();
  EXPECT_EQ(o.outcome, Outcome::kTimeout);
  EXPECT_GE(o.total, seconds(1) + stood_still);
  EXPECT_LE(o.total, seconds(1) + stood_still + milliseconds(100));
  EXPECT_EQ(bench.prober.stats().discarded, 0U);
  EXPECT_EQ(bench.prober.stats().started, 1U);
}

TEST(Prober, ATimeMeasuredOverAStallIsNotUsedAndTheKernelsStaysRight) {
  Server server(answers(kOk));
  Bench bench;
  bench.add(1, target(CheckMethod::kHttp, server.port()));
  bench.loop.run_once();  // the probe starts
  std::this_thread::sleep_for(milliseconds(150));
  ASSERT_TRUE(bench.run_until([&] { return !bench.observed[1].empty(); }));
  const Observation& o = bench.observed[1].front();
  EXPECT_EQ(o.outcome, Outcome::kOk);
  EXPECT_FALSE(o.rtt_counts);
  EXPECT_LT(o.connect, milliseconds(20));
}

TEST(Prober, TheLimitOfProbesInFlightHoldsAndTheRestFollows) {
  Server silent([](const Peer& p) { p.read_end(); });
  Bench bench({.in_flight = 10});
  for (CheckId id = 0; id < 30; ++id) {
    auto t = target(CheckMethod::kTcp, silent.port());
    t.check.method = CheckMethod::kHttp;
    t.check.timeout = milliseconds(150);
    t.check.frequency = seconds(60);
    t.check.frequency_changing = seconds(15);
    bench.add(id, t);
  }
  std::size_t most = 0;
  bench.on_observation = [&](CheckId, const Observation&) { most = std::max(most, bench.prober.in_flight()); };
  ASSERT_TRUE(bench.run_until([&] { return bench.observed.size() == 30; }));
  EXPECT_LE(most, 10U);
  for (const auto& [id, seen] : bench.observed) EXPECT_EQ(seen.front().outcome, Outcome::kTimeout);
}

TEST(Prober, NoMoreHandshakesAreUnderWayThanAllowed) {
  Server silent([](const Peer& p) { p.read_end(); });
  Bench bench({.in_flight = 100, .tls_handshakes = 3});
  for (CheckId id = 0; id < 12; ++id) {
    auto t = target(CheckMethod::kHttps, silent.port());
    t.check.timeout = milliseconds(150);
    t.check.tls_verify = false;
    t.check.frequency = seconds(60);
    t.check.frequency_changing = seconds(15);
    bench.add(id, t);
  }
  ASSERT_TRUE(bench.run_until([&] { return bench.observed.size() == 12; }));
  // Counted on our side: the server's threads see the end of a connection when they get to run.
  for (const auto& probed : bench.observed) {
    const Observation& one = probed.second.front();
    EXPECT_EQ(one.reason, "timeout in the TLS handshake");
    const auto together = std::count_if(bench.observed.begin(), bench.observed.end(), [&](const auto& other) {
      const Observation& o = other.second.front();
      return o.started <= one.started && one.started < o.ended;
    });
    EXPECT_LE(together, 3) << probed.first;
  }
}

TEST(Prober, WithoutDescriptorsThereIsNoObservation) {
  Server server(answers(kOk));
  Bench bench;
  rlimit old{};
  getrlimit(RLIMIT_NOFILE, &old);
  const net::Fd lowest(dup(0));
  const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest.get()), .rlim_max = old.rlim_max};
  auto t = target(CheckMethod::kTcp, server.port());
  t.check.frequency_changing = milliseconds(50);
  setrlimit(RLIMIT_NOFILE, &none);
  bench.add(1, t);
  bench.run_for(milliseconds(120));
  EXPECT_TRUE(bench.observed[1].empty());
  EXPECT_GE(bench.prober.stats().discarded, 1U);
  setrlimit(RLIMIT_NOFILE, &old);
  ASSERT_TRUE(bench.run_until([&] { return !bench.observed[1].empty(); }, seconds(2)));
  EXPECT_EQ(bench.observed[1].front().outcome, Outcome::kOk);
}

}  // namespace
}  // namespace har::probe
