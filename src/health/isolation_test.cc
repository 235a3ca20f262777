#include "health/isolation.h"

#include <gtest/gtest.h>

#include "health/directory.h"

namespace har::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

struct Host {
  Host() {
    isolation.set_routes(true, {ip("198.51.100.9")}, now);
    isolation.ask(now);
  }
  Instant at(double s) const { return now + from_seconds(s); }
  // A probe of check `n` that began at `start` is found silent a second later.
  bool silent(unsigned n, const std::string& address, double start, std::size_t checked = 6, std::uint16_t port = 80) {
    return isolation.silent(n, {ip(address), port, config::CheckMethod::kHttp}, at(start), checked, at(start + 1));
  }
  Isolation isolation;
  Instant now{std::chrono::hours(1)};
};

TEST(Isolation, FourSilentEndpointsInTwoNetworksAreTheHostsOwnLoss) {
  Host host;
  EXPECT_TRUE(host.silent(1, "192.0.2.1", 0.1));
  EXPECT_TRUE(host.silent(2, "192.0.2.2", 0.2));
  EXPECT_TRUE(host.silent(3, "203.0.113.1", 0.3));
  EXPECT_FALSE(host.isolation.is_lost());
  EXPECT_TRUE(host.silent(4, "203.0.113.2", 0.4));
  EXPECT_EQ(host.isolation.sign(), Isolation::Sign::kSilence);
  EXPECT_EQ(host.isolation.lost_at(), host.at(1.4));
}

TEST(Isolation, OneNetworkIsNotEnough) {
  Host host;
  for (unsigned n = 1; n < 7; ++n) host.silent(n, "192.0.2." + std::to_string(n), 0.1);
  EXPECT_FALSE(host.isolation.is_lost());
  EXPECT_EQ(host.isolation.silent_networks(), 1u);
}

TEST(Isolation, ThreeEndpointsAreNotEnoughHoweverOftenTheyFailAndHoweverManyChecksTheyHave) {
  Host host;
  for (unsigned n = 0; n < 12; ++n) host.silent(n % 3, "192.0." + std::to_string(n % 3) + ".1", 0.1 * n, 3);
  EXPECT_FALSE(host.isolation.is_lost());
  Host paths;
  for (unsigned n = 0; n < 12; ++n) paths.silent(n, "192.0." + std::to_string(n % 3) + ".1", 0.1, 12);
  EXPECT_FALSE(paths.isolation.is_lost());
}

TEST(Isolation, PortsOfOneAddressAreEndpointsOfTheirOwn) {
  Host host;
  for (unsigned n = 0; n < 4; ++n) {
    host.silent(n, n % 2 == 0 ? "2001:db8:1::1" : "2001:db8:2::1", 0.1, 4, static_cast<std::uint16_t>(80 + n));
  }
  EXPECT_TRUE(host.isolation.is_lost());
}

TEST(Isolation, HalfIsNotMost) {
  Host host;
  for (unsigned n = 1; n < 5; ++n) host.silent(n, "192.0." + std::to_string(n) + ".1", 0.1, 8);
  EXPECT_FALSE(host.isolation.is_lost());
  host.silent(5, "192.0.5.1", 0.1, 8);
  EXPECT_TRUE(host.isolation.is_lost());
}

TEST(Isolation, ASignOfLifeRefutesTheSilenceOfWhatBeganBeforeIt) {
  Host host;
  for (unsigned n = 1; n < 4; ++n) host.silent(n, "192.0." + std::to_string(n) + ".1", 0.1 * n);
  EXPECT_EQ(host.isolation.heard(host.at(0.2), host.at(0.25), host.at(1.5)), (std::vector<CheckId>{1, 2}))
      << "a SYN-ACK long before the timeout that tells of it";
  EXPECT_FALSE(host.silent(4, "192.0.4.1", 0.2)) << "its own silence, then";
  EXPECT_TRUE(host.silent(5, "192.0.5.1", 0.3));
  EXPECT_FALSE(host.isolation.is_lost()) << "only two are left";
  EXPECT_EQ(host.isolation.silent_endpoints(), 2u);
}

TEST(Isolation, EverybodyIsAskedForASignOfLifeAndHasTimeToGiveIt) {
  Host host;
  host.isolation.heard(host.at(0.01), host.at(0.02), host.at(0.02));
  for (unsigned n = 1; n < 5; ++n) host.silent(n, "192.0." + std::to_string(n) + ".1", 0.1);
  EXPECT_FALSE(host.isolation.is_lost()) << "nobody was asked since the last one";
  EXPECT_TRUE(host.isolation.ask(host.at(1.1)));
  EXPECT_FALSE(host.isolation.ask(host.at(1.2)));
  EXPECT_FALSE(host.isolation.judge(6, host.at(1.3)));
  EXPECT_TRUE(host.isolation.judge(6, host.at(1.4)));
  EXPECT_TRUE(host.isolation.is_lost());
}

TEST(Isolation, SilenceEndsWithTheNextSignOfLife) {
  Host host;
  for (unsigned n = 1; n < 5; ++n) host.silent(n, "192.0." + std::to_string(n) + ".1", 0.1);
  ASSERT_TRUE(host.isolation.is_lost());
  host.isolation.set_routes(true, {}, host.at(3));
  EXPECT_TRUE(host.isolation.is_lost()) << "that there are routes was known";
  host.isolation.heard(host.at(4), host.at(5), host.at(5));
  EXPECT_FALSE(host.isolation.is_lost());
  EXPECT_EQ(host.isolation.begun(), host.at(5)) << "what was asked while it was lost says nothing";
  EXPECT_EQ(host.isolation.silent_endpoints(), 0u);
}

TEST(Isolation, WithoutARouteTheNetworkIsLostUntilThereIsOne) {
  Host host;
  host.isolation.set_routes(false, {}, host.at(1));
  EXPECT_EQ(host.isolation.sign(), Isolation::Sign::kNoRoute);
  host.isolation.heard(host.at(0.5), host.at(1.01), host.at(1.01));
  EXPECT_TRUE(host.isolation.is_lost()) << "it was asked before";
  host.isolation.set_routes(false, {}, host.at(2));
  EXPECT_EQ(host.isolation.lost_at(), host.at(1));
  host.isolation.set_routes(true, {}, host.at(3));
  EXPECT_FALSE(host.isolation.is_lost());
}

TEST(Isolation, WhoeverAnswersWithoutARouteProvesThatThereIsOne) {
  Host host;
  host.isolation.set_routes(false, {}, host.at(1));
  host.isolation.heard(host.at(1.5), host.at(1.6), host.at(1.6));
  EXPECT_FALSE(host.isolation.is_lost());
}

TEST(Isolation, OurOwnAddressesAreNoEvidence) {
  const Host host;
  EXPECT_FALSE(host.isolation.is_remote(ip("127.9.9.9")));
  EXPECT_FALSE(host.isolation.is_remote(ip("::1")));
  EXPECT_FALSE(host.isolation.is_remote(ip("198.51.100.9")));
  EXPECT_TRUE(host.isolation.is_remote(ip("198.51.100.8")));
}

TEST(Isolation, TellsSilenceFromWords) {
  Observation o;
  const auto outcome = [&](Outcome what, std::string_view reason = {}, Duration connect = {}) {
    o.outcome = what;
    o.reason = reason;
    o.connect = connect;
    return is_silent(o);
  };
  EXPECT_FALSE(outcome(Outcome::kOk));
  EXPECT_TRUE(outcome(Outcome::kTimeout));
  EXPECT_FALSE(outcome(Outcome::kTimeout, "timeout waiting for the response", milliseconds(3)));
  EXPECT_TRUE(outcome(Outcome::kConnectError, "network unreachable"));
  EXPECT_FALSE(outcome(Outcome::kConnectError, "refused"));
  EXPECT_FALSE(outcome(Outcome::kConnectError, "reset"));
  EXPECT_FALSE(outcome(Outcome::kResponseError, "status 500"));
  EXPECT_TRUE(outcome(Outcome::kOtherError, "not permitted"));
}

// ---- what a Directory makes of it

struct World {
  explicit World(unsigned names, bool watched = true) {
    auto config = std::make_shared<config::Config>();
    for (unsigned n = 0; n < names; ++n) {
      config::Name name;
      name.host = "n" + std::to_string(n) + ".example";
      config::Candidate candidate;
      candidate.title = "c";
      config::Check check;
      check.host = "192.0." + std::to_string(n) + ".1";
      check.method = config::CheckMethod::kHttp;
      check.port = 80;
      candidate.check = config::SharedCheck(check);
      name.candidates.push_back(candidate);
      config->names.push_back(name);
    }
    directory.configure(config, now);
    checks = directory.take_changes().started;
    std::sort(checks.begin(), checks.end());
    if (watched) directory.set_routes(true, {}, now);
    for (unsigned n = 0; n < names; ++n) ok(n);
    take();
  }
  void ok(unsigned n) { observe(n, Outcome::kOk, now); }
  void timeout(unsigned n, Duration ago = seconds(1)) { observe(n, Outcome::kTimeout, now - ago); }
  void observe(unsigned n, Outcome outcome, Instant started) {
    Observation o;
    o.outcome = outcome;
    o.started = started;
    o.ended = now;
    o.total = now - started;
    directory.observe(checks[n], o, now);
  }
  void pass(Duration by) {
    for (now += by; directory.next_tick() <= now;) directory.tick(now);
  }
  Changes take() {
    Changes changes = directory.take_changes();
    for (const Event& e : changes.events) {
      if (e.kind == EventKind::kState) states += e.name + " " + e.new_value + "; ";
    }
    return changes;
  }
  State state(unsigned n) { return directory.report(n).at(0).state; }

  Directory directory{"id", 1};
  Instant now{std::chrono::hours(1)};
  std::vector<CheckId> checks;
  std::string states;
};

TEST(Doubt, SilenceIsHeldBackUntilSomebodyIsHeard) {
  World world(5);
  world.pass(seconds(2));
  world.timeout(0);
  EXPECT_TRUE(world.take().ask_all) << "a sign of life is wanted";
  world.pass(milliseconds(500));
  world.timeout(0);
  world.pass(milliseconds(500));
  world.timeout(0);
  EXPECT_FALSE(world.take().ask_all) << "once";
  EXPECT_EQ(world.state(0), State::kUp);
  world.ok(1);
  EXPECT_EQ(world.state(0), State::kDown) << "it was its own";
}

TEST(Doubt, SilenceCountsAtOnceWhereOthersAreHeard) {
  World world(5);
  for (int i = 0; i < 3; ++i) {
    world.pass(seconds(1));
    world.ok(1);
    world.timeout(0);
    EXPECT_FALSE(world.take().ask_all);
  }
  EXPECT_EQ(world.state(0), State::kDown);
}

TEST(Doubt, IsShort) {
  World world(5);
  world.pass(seconds(2));
  world.timeout(0);
  for (int i = 0; i < 2; ++i) {
    world.pass(milliseconds(500));
    world.timeout(0);
  }
  EXPECT_EQ(world.state(0), State::kUp);
  world.pass(milliseconds(100));  // 1.1 s after the first: its third came 100 ms ago
  EXPECT_EQ(world.state(0), State::kDown);
}

TEST(Doubt, FewEndpointsAreNotWaitedFor) {
  World world(3);
  world.pass(seconds(2));
  for (int i = 0; i < 3; ++i) world.timeout(0);
  EXPECT_EQ(world.state(0), State::kDown);
}

TEST(Doubt, WhatCountedIsTakenBackWhenTheNetworkTurnsOutToBeLost) {
  World world(6);
  world.pass(seconds(2));
  for (int i = 0; i < 4; ++i) {
    world.timeout(0);
    world.pass(milliseconds(500));
  }
  world.take();
  EXPECT_EQ(world.states.substr(world.states.size() - 17), "n0.example down; ");
  for (unsigned n = 1; n < 4; ++n) world.timeout(n);
  EXPECT_TRUE(world.directory.isolation().is_lost());
  EXPECT_EQ(world.state(0), State::kUp);
  // And nothing counts any more.
  for (int i = 0; i < 10; ++i) {
    world.pass(seconds(1));
    for (unsigned n = 0; n < 6; ++n) world.timeout(n);
  }
  for (unsigned n = 0; n < 6; ++n) EXPECT_EQ(world.state(n), State::kUp);
  EXPECT_EQ(world.directory.report(0).at(0).timeouts, 14u) << "recorded all the same";
  // Back: what was asked meanwhile still says nothing.
  world.ok(3);
  EXPECT_FALSE(world.directory.isolation().is_lost());
  for (int i = 0; i < 3; ++i) world.timeout(0);
  world.pass(seconds(2));
  EXPECT_EQ(world.state(0), State::kUp);
  // And then all is as ever.
  for (int i = 0; i < 3; ++i) {
    world.pass(seconds(1));
    world.ok(1);
    world.timeout(0, milliseconds(900));
  }
  EXPECT_EQ(world.state(0), State::kDown);
}

TEST(Doubt, ALostRouteFreezesEvenOneEndpointAndTakesItsLastFailuresBack) {
  World world(1);
  world.pass(seconds(2));
  world.timeout(0);
  world.timeout(0);
  world.directory.set_routes(false, {}, world.now);
  for (int i = 0; i < 5; ++i) world.timeout(0);
  world.pass(seconds(1));
  world.directory.set_routes(true, {}, world.now);
  world.pass(seconds(2));
  world.timeout(0);
  world.timeout(0);
  EXPECT_EQ(world.state(0), State::kUp);
  world.timeout(0);
  EXPECT_EQ(world.state(0), State::kDown);
}

TEST(Doubt, OnlyWhatCountsIsAnObservationOfOnesOwn) {
  Directory directory("id", 1);
  const Instant now{std::chrono::hours(1)};
  auto config = std::make_shared<config::Config>();
  for (const char* address : {"192.0.2.1", "127.0.0.2"}) {
    config::Check check;
    check.host = address;
    config::Candidate candidate;
    candidate.title = address;
    candidate.check = config::SharedCheck(check);
    config::Name& name = config->names.emplace_back();
    name.host = std::string(address) + ".example";
    name.candidates.push_back(candidate);
  }
  directory.configure(config, now);
  directory.set_routes(false, {}, now);
  Observation silence;
  silence.outcome = Outcome::kTimeout;
  silence.started = now;
  const auto checks = directory.take_changes().started;
  for (const CheckId check : checks) directory.observe(check, silence, now);
  EXPECT_TRUE(directory.first_round_done());
  EXPECT_FALSE(directory.has_own_observation(0)) << "it may be our network's";
  EXPECT_TRUE(directory.has_own_observation(1)) << "the network is no excuse on loopback";
  directory.set_routes(true, {}, now);
  silence.outcome = Outcome::kResponseError;
  for (const CheckId check : checks) directory.observe(check, silence, now);
  EXPECT_TRUE(directory.has_own_observation(0));
}

TEST(Doubt, AnUpstreamIsASignOfLifeUnlessItIsOnThisHost) {
  World world(5);
  world.pass(seconds(2));
  for (int i = 0; i < 3; ++i) world.timeout(0);
  world.directory.upstream_heard(ip("127.0.0.53"), world.now, world.now);
  EXPECT_EQ(world.state(0), State::kUp);
  world.directory.upstream_heard(ip("203.0.113.53"), world.now, world.now);
  EXPECT_EQ(world.state(0), State::kDown);
}

TEST(Doubt, AChangedNetworkForgetsWhatIsHeldAndWhatWasMeasured) {
  World world(5);
  world.pass(seconds(2));
  for (int i = 0; i < 3; ++i) world.timeout(0);
  world.directory.network_changed(world.now);
  world.pass(seconds(2));
  EXPECT_EQ(world.state(0), State::kUp);
  EXPECT_FALSE(world.directory.isolation().is_lost());
}

TEST(Doubt, ADirectoryThatKnowsNothingOfTheNetworkDoubtsNothing) {
  World world(6, false);
  world.pass(seconds(2));
  for (unsigned n = 0; n < 6; ++n) {
    for (int i = 0; i < 3; ++i) world.timeout(n);
    EXPECT_EQ(world.state(n), State::kDown);
  }
}

}  // namespace
}  // namespace har::health
