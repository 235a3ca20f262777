#include "health/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "config/check_testing.h"
#include "health/content.h"
#include "health/rtt.h"

namespace har::health {
namespace {

using config::with;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

config::Candidate candidate(const std::string& host, std::uint32_t tier = 0) {
  config::Candidate c;
  c.title = host;
  c.check = config::check_of_host(host);
  c.tier = tier;
  return c;
}

config::Name name(const std::string& host, std::vector<config::Candidate> candidates) {
  config::Name n;
  n.host = host;
  n.candidates = std::move(candidates);
  return n;
}

// A Directory with a clock, and the checks that its changes have started.
class DirectoryTest : public testing::Test {
 protected:
  void configure(std::vector<config::Name> names) {
    auto c = std::make_shared<config::Config>();
    c->names = std::move(names);
    directory.configure(c, now);
    take();
  }
  Changes take() {
    Changes changes = directory.take_changes();
    for (const CheckId id : changes.started) {
      EXPECT_TRUE(running.emplace(id).second);
      EXPECT_TRUE(ever.emplace(id).second) << "an id is never used again";
    }
    for (const CheckId id : changes.stopped) EXPECT_EQ(running.erase(id), 1U);
    for (const CheckId id : changes.repaced) EXPECT_TRUE(running.contains(id));
    last = changes;
    return changes;
  }
  std::vector<CheckId> checks_of(const std::string& address) const {
    std::vector<CheckId> ids;
    for (const CheckId id : running) {
      if (directory.target(id).address == ip(address)) ids.push_back(id);
    }
    return ids;
  }
  Changes observe(CheckId id, Outcome outcome, Duration total = milliseconds(5), std::string_view reason = {}) {
    now += milliseconds(100);
    Observation o;
    o.outcome = outcome;
    o.started = o.ended = now;
    o.total = total;
    o.connect = total / 2;
    o.reason = reason;
    directory.observe(id, o, now);
    return take();
  }
  // Every check of that address.
  Changes probe(const std::string& address, Outcome outcome, Duration total = milliseconds(5), int times = 1) {
    Changes changes;
    const std::vector<CheckId> ids = checks_of(address);
    EXPECT_FALSE(ids.empty()) << "nothing checks " << address;
    for (int i = 0; i < times; ++i) {
      for (const CheckId id : ids) changes = observe(id, outcome, total);
    }
    return changes;
  }
  std::string answer(std::uint32_t slot = 0) const { return describe(directory.content(slot)); }
  State state(const std::string& address, const std::string& of = "") const {
    for (const EndpointReport& row : directory.report()) {
      if (row.address == ip(address) && (of.empty() || row.name == of)) return row.state;
    }
    ADD_FAILURE() << "no endpoint " << address;
    return State::kUnknown;
  }

  Directory directory{"machine", 1};
  Instant now{hours(1)};
  std::set<CheckId> running, ever;
  Changes last;
};

// --- configuration, hosts, endpoints ---

TEST_F(DirectoryTest, NothingIsKnownBeforeTheConfiguration) {
  EXPECT_THAT(directory.hosts(), IsEmpty());
  EXPECT_THAT(directory.report(), IsEmpty());
  EXPECT_EQ(directory.next_tick(), kNever);
}

TEST_F(DirectoryTest, LiteralsAreEndpointsAtOnceAndNeverResolved) {
  configure({name("api.example", {candidate("192.0.2.1"), candidate("b.example")})});
  EXPECT_THAT(last.slots, ElementsAre(0));
  EXPECT_EQ(last.started.size(), 1U);
  ASSERT_EQ(directory.hosts().size(), 1U);
  EXPECT_EQ(directory.hosts()[0].host, "b.example");
  EXPECT_EQ(answer(), "192.0.2.1 | -");
}

TEST_F(DirectoryTest, AllAddressesOfBothFamiliesBecomeEndpoints) {
  configure({name("api.example", {candidate("b.example")})});
  EXPECT_EQ(answer(), "not_ready");
  directory.resolved("b.example", {ip("192.0.2.2"), ip("2001:db8::1"), ip("192.0.2.1")}, now);
  take();
  EXPECT_EQ(last.started.size(), 3U);
  EXPECT_EQ(answer(), "192.0.2.1 | 2001:db8::1");
  EXPECT_EQ(directory.report().size(), 3U);
}

TEST_F(DirectoryTest, TheSameAnswerAgainChangesNothing) {
  configure({name("api.example", {candidate("b.example")})});
  directory.resolved("b.example", {ip("192.0.2.2"), ip("192.0.2.1")}, now);
  take();
  directory.resolved("b.example", {ip("192.0.2.1"), ip("192.0.2.2")}, now);  // rotated
  take();
  EXPECT_THAT(last.slots, IsEmpty());
  EXPECT_THAT(last.started, IsEmpty());
  EXPECT_THAT(last.events, IsEmpty());
}

TEST_F(DirectoryTest, ANewAnswerReplacesTheAddressesAndKeepsWhatStays) {
  configure({name("api.example", {candidate("b.example")})});
  directory.resolved("b.example", {ip("192.0.2.1"), ip("192.0.2.2")}, now);
  take();
  probe("192.0.2.1", Outcome::kOk);
  probe("192.0.2.2", Outcome::kOk, milliseconds(1));
  EXPECT_EQ(answer(), "192.0.2.2 | -");
  directory.resolved("b.example", {ip("192.0.2.1"), ip("192.0.2.3")}, now);
  take();
  EXPECT_EQ(answer(), "192.0.2.1 | -");
  EXPECT_EQ(last.started.size(), 1U);
  EXPECT_EQ(last.stopped.size(), 1U);
  EXPECT_EQ(state("192.0.2.1"), State::kUp);
  EXPECT_EQ(state("192.0.2.3"), State::kUnknown);
  ASSERT_EQ(last.events.size(), 2U);
  EXPECT_EQ(last.events[0].reason, "address withdrawn");
  EXPECT_EQ(last.events[1].kind, EventKind::kChoice);
}

TEST_F(DirectoryTest, AnEmptyAnswerWithdrawsACandidate) {
  configure({name("api.example", {candidate("a.example"), candidate("192.0.2.9")})});
  directory.resolved("a.example", {ip("192.0.2.1")}, now);
  take();
  probe("192.0.2.1", Outcome::kOk, milliseconds(1));
  probe("192.0.2.9", Outcome::kOk, milliseconds(9));
  EXPECT_EQ(answer(), "192.0.2.1 | -");
  directory.resolved("a.example", {}, now);
  take();
  EXPECT_EQ(answer(), "192.0.2.9 | -");
  EXPECT_EQ(last.stopped.size(), 1U);
}

TEST_F(DirectoryTest, AHostOfSeveralNamesIsResolvedOnceWithTheShortestFrequency) {
  config::Candidate slow = candidate("a.example");
  slow.check = with(slow.check, &config::Check::frequency, seconds(30));
  configure({name("one.example", {slow}), name("two.example", {candidate("a.example")})});
  ASSERT_EQ(directory.hosts().size(), 1U);
  EXPECT_EQ(directory.hosts()[0].frequency, seconds(2));
}

TEST_F(DirectoryTest, NoMoreThan64AddressesOfAHostAreTaken) {
  configure({name("api.example", {candidate("a.example")})});
  std::vector<IpAddress> many;
  for (int i = 0; i < 200; ++i) many.push_back(ip("192.0.2." + std::to_string(i)));
  directory.resolved("a.example", many, now);
  take();
  EXPECT_EQ(running.size(), 64U);
}

TEST_F(DirectoryTest, AnswersForUnknownHostsAndLateObservationsAreIgnored) {
  configure({name("api.example", {candidate("192.0.2.1")})});
  const CheckId id = checks_of("192.0.2.1").at(0);
  directory.resolved("other.example", {ip("192.0.2.7")}, now);
  directory.resolution_failed("other.example", now);
  configure({name("api.example", {candidate("192.0.2.2")})});
  observe(id, Outcome::kOk);
  EXPECT_EQ(answer(), "192.0.2.2 | -");
}

TEST_F(DirectoryTest, StartedAndStoppedBetweenTwoCallsIsNotTold) {
  configure({name("api.example", {candidate("a.example")})});
  directory.resolved("a.example", {ip("192.0.2.1")}, now);
  directory.resolved("a.example", {ip("192.0.2.2")}, now);
  take();
  EXPECT_EQ(last.started.size(), 1U);
  EXPECT_THAT(last.stopped, IsEmpty());
}

// --- shared checks ---

TEST_F(DirectoryTest, TheSameCheckOfSeveralNamesIsOneProbe) {
  configure({name("one.example", {candidate("192.0.2.1")}), name("two.example", {candidate("192.0.2.1")})});
  EXPECT_EQ(running.size(), 1U);
  probe("192.0.2.1", Outcome::kOk);
  EXPECT_EQ(last.events.size(), 2U);  // a state for each name; the choice was this address before
  EXPECT_EQ(state("192.0.2.1", "one.example"), State::kUp);
  EXPECT_EQ(state("192.0.2.1", "two.example"), State::kUp);
}

TEST_F(DirectoryTest, AnyDifferenceInTheCheckMakesAProbeOfItsOwn) {
  config::Candidate other = candidate("192.0.2.1");
  other.check = with_path(other.check, "/health");
  configure({name("one.example", {candidate("192.0.2.1")}), name("two.example", {other})});
  EXPECT_EQ(running.size(), 2U);
}

TEST_F(DirectoryTest, ThresholdsAreEachNamesOwn) {
  config::Name quick = name("quick.example", {candidate("192.0.2.1")});
  quick.thresholds.fall = 1;
  config::Name slow = name("slow.example", {candidate("192.0.2.1")});
  slow.thresholds.fall = 5;
  configure({quick, slow});
  EXPECT_EQ(running.size(), 1U);
  probe("192.0.2.1", Outcome::kOk);
  probe("192.0.2.1", Outcome::kTimeout);
  EXPECT_EQ(state("192.0.2.1", "quick.example"), State::kDown);
  EXPECT_EQ(state("192.0.2.1", "slow.example"), State::kUp);
  EXPECT_THAT(last.slots, ElementsAre(0));
  const Pace pace = directory.pace(*running.begin());
  EXPECT_EQ(pace.fall, 5U);
  EXPECT_TRUE(pace.disagrees);  // with the slow one's state
  EXPECT_FALSE(pace.down_since);
}

TEST_F(DirectoryTest, AProbeEndsWithItsLastUser) {
  configure({name("one.example", {candidate("192.0.2.1")}), name("two.example", {candidate("192.0.2.1")})});
  configure({name("one.example", {candidate("192.0.2.1")})});
  EXPECT_EQ(running.size(), 1U);
  EXPECT_THAT(last.stopped, IsEmpty());
  configure({});
  EXPECT_EQ(last.stopped.size(), 1U);
  EXPECT_THAT(running, IsEmpty());
}

TEST_F(DirectoryTest, AnObservationTouchesOnlyTheNamesThatUseTheCheck) {
  configure({name("one.example", {candidate("192.0.2.1")}), name("two.example", {candidate("192.0.2.2")}),
             name("three.example", {candidate("192.0.2.1"), candidate("192.0.2.2")})});
  probe("192.0.2.1", Outcome::kTimeout);
  EXPECT_THAT(last.slots, UnorderedElementsAre(0, 2));
}

TEST_F(DirectoryTest, WithoutAChangeNothingIsListed) {
  configure({name("api.example", {candidate("192.0.2.1"), candidate("192.0.2.2")})});
  probe("192.0.2.1", Outcome::kOk);
  probe("192.0.2.2", Outcome::kOk, milliseconds(50));
  for (int i = 0; i < 20; ++i) {
    probe("192.0.2.1", Outcome::kOk, milliseconds(5) + std::chrono::microseconds(i * 7));
    EXPECT_THAT(last.slots, IsEmpty());
    EXPECT_THAT(last.events, IsEmpty());
    EXPECT_THAT(last.repaced, IsEmpty());
  }
}

// --- events, reports, pace ---

TEST_F(DirectoryTest, EventsSayWhatChangedAndWhy) {
  configure({name("api.example", {candidate("192.0.2.1"), candidate("192.0.2.2")})});
  probe("192.0.2.1", Outcome::kOk, milliseconds(12));
  ASSERT_EQ(last.events.size(), 1U);
  EXPECT_EQ(last.events[0].old_value, "unknown");
  EXPECT_EQ(last.events[0].new_value, "up");
  EXPECT_EQ(last.events[0].reason, "first observation: ok");
  probe("192.0.2.2", Outcome::kOk, milliseconds(3));
  ASSERT_EQ(last.events.size(), 2U);
  EXPECT_EQ(last.events[1].kind, EventKind::kChoice);
  EXPECT_EQ(last.events[1].old_value, "192.0.2.1 | -");
  EXPECT_EQ(last.events[1].new_value, "192.0.2.2 | -");
  EXPECT_EQ(last.events[1].reason, "best_rtt 3.0ms");
  probe("192.0.2.2", Outcome::kTimeout, {}, 3);
  ASSERT_EQ(last.events.size(), 2U);
  EXPECT_EQ(last.events[0].candidate, "192.0.2.2");
  EXPECT_EQ(last.events[0].address, ip("192.0.2.2"));
  EXPECT_EQ(last.events[0].reason, "timeout streak=3");
  observe(checks_of("192.0.2.2")[0], Outcome::kConnectError, {}, "refused");
  EXPECT_THAT(last.events, IsEmpty());
}

TEST_F(DirectoryTest, TheReportCountsAndTellsTheLastStatus) {
  configure({name("api.example", {candidate("192.0.2.1")})});
  probe("192.0.2.1", Outcome::kOk, milliseconds(8));
  const Instant ok_at = now;
  observe(*running.begin(), Outcome::kResponseError, milliseconds(1), "status 500");
  const EndpointReport row = directory.report().at(0);
  EXPECT_EQ(row.name, "api.example");
  EXPECT_EQ(row.candidate, "192.0.2.1");
  EXPECT_EQ(row.successes, 1U);
  EXPECT_EQ(row.response_errors, 1U);
  EXPECT_EQ(row.last_status, "response_error status 500");
  EXPECT_EQ(row.last_success, ok_at);
  EXPECT_EQ(row.last_failure, now);
  EXPECT_EQ(row.response_time, milliseconds(8));  // an error page's time is none
  EXPECT_EQ(row.connect_time, milliseconds(4));
  EXPECT_TRUE(row.chosen);
}

TEST_F(DirectoryTest, ALateLoopsRttIsNotUsed) {
  configure({name("api.example", {candidate("192.0.2.1")})});
  Observation o;
  o.outcome = Outcome::kOk;
  o.total = seconds(3);
  o.rtt_counts = false;
  o.started = now;
  directory.observe(*running.begin(), o, now);
  EXPECT_EQ(directory.report().at(0).response_time, Duration::zero());
  EXPECT_EQ(state("192.0.2.1"), State::kUp);
}

TEST_F(DirectoryTest, RttModeConnectRanksByTheHandshake) {
  config::Name n = name("api.example", {candidate("192.0.2.1"), candidate("192.0.2.2")});
  n.rtt_mode = config::RttMode::kConnect;
  configure({n});
  const auto measured = [&](const std::string& address, Duration connect, Duration total) {
    Observation o;
    o.outcome = Outcome::kOk;
    o.connect = connect;
    o.total = total;
    o.started = now;
    directory.observe(checks_of(address).at(0), o, now);
  };
  measured("192.0.2.1", milliseconds(9), milliseconds(10));
  measured("192.0.2.2", milliseconds(1), milliseconds(90));
  EXPECT_EQ(answer(), "192.0.2.2 | -");
}

TEST_F(DirectoryTest, ThePaceFollowsTheState) {
  configure({name("api.example", {candidate("192.0.2.1")})});
  const CheckId id = *running.begin();
  EXPECT_EQ(directory.pace(id), Pace{});
  probe("192.0.2.1", Outcome::kOk, milliseconds(8));
  EXPECT_THAT(last.repaced, ElementsAre(id));
  EXPECT_EQ(directory.pace(id).rtt, milliseconds(8));
  EXPECT_FALSE(directory.pace(id).disagrees);
  observe(id, Outcome::kConnectError, {}, "refused");
  EXPECT_THAT(last.repaced, ElementsAre(id));
  EXPECT_TRUE(directory.pace(id).disagrees);
  EXPECT_TRUE(directory.pace(id).refused);
  observe(id, Outcome::kConnectError, {}, "refused");
  observe(id, Outcome::kConnectError, {}, "refused");
  EXPECT_FALSE(directory.pace(id).disagrees);
  EXPECT_EQ(directory.pace(id).down_since, now);
  probe("192.0.2.1", Outcome::kOk);
  EXPECT_TRUE(directory.pace(id).disagrees);
  EXPECT_FALSE(directory.pace(id).refused);
}

// --- hysteresis in company ---

TEST_F(DirectoryTest, AFlappingEndpointComesUpAtOnceWhenTheLastOtherOneFalls) {
  config::Name n = name("api.example", {candidate("192.0.2.1"), candidate("192.0.2.2")});
  n.thresholds = {.fall = 1, .rise = 2, .ok_reset = 10};
  configure({n});
  probe("192.0.2.1", Outcome::kOk, milliseconds(50));
  probe("192.0.2.2", Outcome::kOk, milliseconds(1));
  for (int i = 0; i < 3; ++i) {  // falls three times: rise is 8
    probe("192.0.2.2", Outcome::kTimeout);
    if (i < 2) probe("192.0.2.2", Outcome::kOk, milliseconds(1), 8);
  }
  probe("192.0.2.2", Outcome::kOk, milliseconds(1), 3);
  EXPECT_EQ(state("192.0.2.2"), State::kDown);
  EXPECT_EQ(answer(), "192.0.2.1 | -");
  probe("192.0.2.1", Outcome::kTimeout);
  EXPECT_EQ(state("192.0.2.1"), State::kDown);
  EXPECT_EQ(state("192.0.2.2"), State::kUp);
  EXPECT_EQ(answer(), "192.0.2.2 | -");
}

TEST_F(DirectoryTest, WhileNothingIsUpThePlainRiseApplies) {
  config::Name n = name("api.example", {candidate("192.0.2.1")});
  n.thresholds = {.fall = 1, .rise = 2, .ok_reset = 10};
  configure({n});
  probe("192.0.2.1", Outcome::kOk);
  for (int i = 0; i < 6; ++i) {
    probe("192.0.2.1", Outcome::kTimeout);
    probe("192.0.2.1", Outcome::kOk);
    EXPECT_EQ(state("192.0.2.1"), State::kDown);
    probe("192.0.2.1", Outcome::kOk);
    EXPECT_EQ(state("192.0.2.1"), State::kUp);
  }
}

TEST_F(DirectoryTest, ADrainedEndpointThatIsUpHelpsNobodyAndDoesNotKeepOthersOut) {
  config::Name n = name("api.example", {candidate("192.0.2.1"), candidate("192.0.2.2")});
  n.thresholds = {.fall = 1, .rise = 2, .ok_reset = 10};
  configure({n});
  probe("192.0.2.1", Outcome::kOk);
  probe("192.0.2.2", Outcome::kOk);
  probe("192.0.2.2", Outcome::kTimeout);
  probe("192.0.2.2", Outcome::kOk, milliseconds(1), 2);
  probe("192.0.2.2", Outcome::kTimeout);
  probe("192.0.2.2", Outcome::kOk, milliseconds(1), 3);  // of four
  EXPECT_EQ(state("192.0.2.2"), State::kDown);
  EXPECT_TRUE(directory.set_drained("api.example", "192.0.2.1", true, now));
  EXPECT_EQ(state("192.0.2.2"), State::kUp);
  EXPECT_EQ(answer(), "192.0.2.2 | -");
}

TEST_F(DirectoryTest, StandingsSayWhyEachEndpointStandsWhereItStands) {
  configure({name("api.example", {candidate("192.0.2.1"), candidate("192.0.2.2"), candidate("192.0.2.3"),
                                  candidate("192.0.2.4", 1), candidate("192.0.2.5")})});
  probe("192.0.2.1", Outcome::kOk, milliseconds(9));
  probe("192.0.2.2", Outcome::kOk, milliseconds(3));
  probe("192.0.2.3", Outcome::kTimeout);
  probe("192.0.2.4", Outcome::kOk, milliseconds(1));
  directory.set_drained("", "192.0.2.5", true, now);
  const auto standings = [&] {
    std::vector<std::string> lines;
    for (const Standing& s : directory.standings(0)) {
      lines.push_back(std::to_string(s.place) + " " + s.address.to_string() + " " + s.why);
    }
    return lines;
  };
  EXPECT_THAT(standings(), ElementsAre("1 192.0.2.2 smallest RTT", "2 192.0.2.1 by RTT", "0 192.0.2.3 down",
                                       "0 192.0.2.5 drained", "0 192.0.2.4 a nearer tier is in use"));
  for (const char* address : {"192.0.2.1", "192.0.2.2", "192.0.2.4"}) probe(address, Outcome::kTimeout, {}, 3);
  EXPECT_EQ(standings().front(), "1 192.0.2.4 failure mode, by last success");
  EXPECT_EQ(standings().back(), "0 192.0.2.5 drained");
  EXPECT_EQ(standings().size(), 5U);
}

// --- drain ---

TEST_F(DirectoryTest, DrainingTakesACandidateOutOfEveryName) {
  configure({name("one.example", {candidate("A.example"), candidate("192.0.2.9")}),
             name("two.example", {candidate("A.example"), candidate("192.0.2.9")})});
  directory.resolved("A.example", {ip("192.0.2.1")}, now);
  take();
  probe("192.0.2.1", Outcome::kOk, milliseconds(1));
  probe("192.0.2.9", Outcome::kOk, milliseconds(9));
  EXPECT_TRUE(directory.set_drained("", "a.EXAMPLE.", true, now));
  take();
  EXPECT_THAT(last.slots, UnorderedElementsAre(0, 1));
  EXPECT_EQ(last.events.front().old_value, "auto");
  EXPECT_EQ(last.events.front().new_value, "drained");
  EXPECT_EQ(answer(0), "192.0.2.9 | -");
  EXPECT_TRUE(directory.set_drained("One.Example.", "A.example", false, now));
  EXPECT_EQ(answer(0), "192.0.2.1 | -");
  EXPECT_EQ(answer(1), "192.0.2.9 | -");
  EXPECT_FALSE(directory.set_drained("one.example", "c.example", true, now));
  EXPECT_FALSE(directory.set_drained("three.example", "A.example", true, now));
}

TEST_F(DirectoryTest, ADrainedCandidateIsStillChecked) {
  configure({name("api.example", {candidate("192.0.2.1")})});
  directory.set_drained("", "192.0.2.1", true, now);
  take();
  EXPECT_EQ(running.size(), 1U);
  EXPECT_EQ(answer(), "nodata");  // failure mode all, and nothing that may be answered
  probe("192.0.2.1", Outcome::kOk);
  EXPECT_EQ(state("192.0.2.1"), State::kUp);
  EXPECT_EQ(answer(), "nodata");
}

// --- time ---

TEST_F(DirectoryTest, TheDwellEndsByTimeAlone) {
  configure({name("api.example", {candidate("192.0.2.1"), candidate("192.0.2.2")})});
  probe("192.0.2.2", Outcome::kOk, milliseconds(30), 5);
  probe("192.0.2.1", Outcome::kOk, milliseconds(40), 5);
  EXPECT_EQ(answer(), "192.0.2.2 | -");
  EXPECT_EQ(directory.next_tick(), kNever);
  probe("192.0.2.1", Outcome::kOk, milliseconds(1), 6);
  EXPECT_EQ(answer(), "192.0.2.2 | -");
  const Instant due = directory.next_tick();
  ASSERT_NE(due, kNever);
  EXPECT_GT(due, now);
  directory.tick(due - Duration(1));
  take();
  EXPECT_THAT(last.slots, IsEmpty());
  directory.tick(due);
  take();
  EXPECT_THAT(last.slots, ElementsAre(0));
  EXPECT_EQ(answer(), "192.0.2.1 | -");
  EXPECT_EQ(directory.next_tick(), kNever);
}

// --- reload ---

TEST_F(DirectoryTest, AReloadKeepsHealthRttCountersDrainAndChoice) {
  const auto names = [] { return std::vector{name("api.example", {candidate("a.example"), candidate("192.0.2.2")})}; };
  configure(names());
  directory.resolved("a.example", {ip("192.0.2.1")}, now);
  take();
  probe("192.0.2.1", Outcome::kOk, milliseconds(10), 6);
  probe("192.0.2.2", Outcome::kOk, milliseconds(9), 6);  // better, but not by the margin
  directory.set_drained("api.example", "192.0.2.2", true, now);
  directory.set_drained("api.example", "192.0.2.2", false, now);
  take();
  const std::string before = answer();
  const std::set<CheckId> checks = running;
  configure(names());
  EXPECT_THAT(last.slots, ElementsAre(0));
  EXPECT_THAT(last.started, IsEmpty());
  EXPECT_THAT(last.stopped, IsEmpty());
  EXPECT_THAT(last.events, IsEmpty());
  EXPECT_EQ(running, checks);
  EXPECT_EQ(answer(), before);
  EXPECT_EQ(directory.report().at(0).successes, 6U);
  EXPECT_EQ(directory.report().at(0).response_time, milliseconds(10));
  EXPECT_TRUE(directory.first_round_done());
}

TEST_F(DirectoryTest, AReloadMayReorderNamesAndCandidates) {
  configure({name("one.example", {candidate("192.0.2.1"), candidate("192.0.2.2")}),
             name("two.example", {candidate("192.0.2.3")})});
  probe("192.0.2.1", Outcome::kOk, milliseconds(1));
  probe("192.0.2.2", Outcome::kOk, milliseconds(9));
  probe("192.0.2.3", Outcome::kTimeout);
  directory.set_drained("one.example", "192.0.2.1", true, now);
  configure({name("zero.example", {candidate("192.0.2.9")}), name("two.example", {candidate("192.0.2.3")}),
             name("one.example", {candidate("192.0.2.2"), candidate("192.0.2.1")})});
  EXPECT_THAT(last.slots, ElementsAre(0, 1, 2));
  EXPECT_EQ(last.started.size(), 1U);
  EXPECT_EQ(answer(2), "192.0.2.2 | -");
  EXPECT_EQ(state("192.0.2.3"), State::kDown);
  directory.set_drained("one.example", "192.0.2.1", false, now);
  EXPECT_EQ(answer(2), "192.0.2.1 | -");
}

TEST_F(DirectoryTest, ANewCandidateIsProbedBeforeItDisplacesAHealthyOne) {
  configure({name("api.example", {candidate("192.0.2.1", 1)})});
  probe("192.0.2.1", Outcome::kOk);
  configure({name("api.example", {candidate("192.0.2.2", 0), candidate("192.0.2.1", 1)})});
  EXPECT_EQ(answer(), "192.0.2.1 | -");
  probe("192.0.2.2", Outcome::kOk, milliseconds(90));
  EXPECT_EQ(answer(), "192.0.2.2 | -");
}

TEST_F(DirectoryTest, AnotherFrequencyKeepsHealthAndMeasurements) {
  config::Name n = name("api.example", {candidate("192.0.2.1")});
  configure({n});
  probe("192.0.2.1", Outcome::kTimeout);
  n.candidates[0].check = with(n.candidates[0].check, &config::Check::frequency, seconds(5));
  n.candidates[0].check = with(n.candidates[0].check, &config::Check::timeout, seconds(2));
  configure({n});
  EXPECT_EQ(last.started.size(), 1U);  // a check of its own all the same: the schedule is its
  EXPECT_EQ(last.stopped.size(), 1U);
  EXPECT_EQ(state("192.0.2.1"), State::kDown);
  EXPECT_EQ(directory.report().at(0).timeouts, 1U);
  probe("192.0.2.1", Outcome::kOk);
  EXPECT_EQ(state("192.0.2.1"), State::kDown);  // rise is 2, as ever
  EXPECT_EQ(answer(), "192.0.2.1 | -");         // failure mode all
}

TEST_F(DirectoryTest, AnotherQuestionToTheSamePortShowsTheOldStateUntilItsFirstObservation) {
  config::Name n = name("api.example", {candidate("192.0.2.1"), candidate("192.0.2.2")});
  configure({n});
  probe("192.0.2.1", Outcome::kTimeout);
  probe("192.0.2.2", Outcome::kOk);
  for (config::Candidate& c : n.candidates) c.check = with_path(c.check, "/health");
  configure({n});
  EXPECT_EQ(answer(), "192.0.2.2 | -");
  EXPECT_EQ(state("192.0.2.1"), State::kDown);
  EXPECT_FALSE(directory.first_round_done());
  EXPECT_FALSE(directory.has_own_observation(0));
  probe("192.0.2.1", Outcome::kOk);
  EXPECT_EQ(state("192.0.2.1"), State::kUp);
}

TEST_F(DirectoryTest, AnotherPortIsAnotherEndpoint) {
  config::Name n = name("api.example", {candidate("192.0.2.1")});
  configure({n});
  probe("192.0.2.1", Outcome::kTimeout);
  n.candidates[0].check = with(n.candidates[0].check, &config::Check::port, 8080);
  configure({n});
  EXPECT_EQ(state("192.0.2.1"), State::kUnknown);
  EXPECT_EQ(directory.report().at(0).timeouts, 0U);
}

TEST_F(DirectoryTest, NewThresholdsKeepTheStateAndCountAfresh) {
  config::Name n = name("api.example", {candidate("192.0.2.1")});
  configure({n});
  probe("192.0.2.1", Outcome::kOk);
  probe("192.0.2.1", Outcome::kTimeout, {}, 2);
  n.thresholds.fall = 2;
  configure({n});
  EXPECT_THAT(last.started, IsEmpty());
  EXPECT_EQ(state("192.0.2.1"), State::kUp);
  probe("192.0.2.1", Outcome::kTimeout);
  EXPECT_EQ(state("192.0.2.1"), State::kUp);
  probe("192.0.2.1", Outcome::kTimeout);
  EXPECT_EQ(state("192.0.2.1"), State::kDown);
  EXPECT_EQ(directory.pace(*running.begin()).fall, 2U);
}

// --- the first round ---

TEST_F(DirectoryTest, TheFirstRoundIsDoneWhenEveryHostAndEveryCheckHasHadItsTry) {
  configure({name("api.example", {candidate("a.example"), candidate("b.example"), candidate("192.0.2.9")})});
  EXPECT_FALSE(directory.first_round_done());
  directory.resolution_failed("a.example", now);
  directory.resolution_failed("a.example", now);
  directory.resolved("b.example", {ip("192.0.2.1"), ip("192.0.2.2")}, now);
  take();
  probe("192.0.2.9", Outcome::kTimeout);
  probe("192.0.2.1", Outcome::kOk);
  EXPECT_FALSE(directory.first_round_done());
  probe("192.0.2.2", Outcome::kTimeout);
  EXPECT_TRUE(directory.first_round_done());
}

TEST_F(DirectoryTest, AWithdrawnAddressIsNotWaitedFor) {
  configure({name("api.example", {candidate("a.example")})});
  directory.resolved("a.example", {ip("192.0.2.1")}, now);
  take();
  directory.resolved("a.example", {}, now);
  take();
  EXPECT_TRUE(directory.first_round_done());
  EXPECT_EQ(answer(), "not_ready");
}

// --- stored state ---

StoredEndpoint stored(const std::string& of, const std::string& address, State state, Duration rtt) {
  StoredEndpoint s;
  s.name = "api.example";
  s.candidate = of;
  s.address = ip(address);
  s.state = state;
  s.response_time = rtt;
  s.connect_time = rtt / 2;
  s.age = seconds(60);
  return s;
}

TEST_F(DirectoryTest, StoredStateGivesHealthRttChoiceAndAddresses) {
  configure({name("api.example", {candidate("a.example"), candidate("b.example")})});
  StoredEndpoint a = stored("a.example", "192.0.2.1", State::kUp, milliseconds(10));
  a.chosen = true;
  a.successes = 77;
  directory.restore({a, stored("b.example", "192.0.2.2", State::kUp, milliseconds(9)),
                     stored("b.example", "192.0.2.3", State::kDown, milliseconds(1))},
                    now);
  take();
  EXPECT_EQ(last.started.size(), 3U);
  EXPECT_EQ(answer(), "192.0.2.1 | -");  // chosen before; nine milliseconds are not better by the margin
  EXPECT_EQ(directory.content(0).note, table::Note::kNone);
  EXPECT_EQ(state("192.0.2.3"), State::kDown);
  EXPECT_EQ(directory.report().at(0).successes, 77U);
  EXPECT_EQ(directory.report().at(0).last_check, now - seconds(60));
  EXPECT_FALSE(directory.has_own_observation(0));
  EXPECT_FALSE(directory.first_round_done());
  probe("192.0.2.1", Outcome::kOk, milliseconds(10));
  EXPECT_TRUE(directory.has_own_observation(0));
  EXPECT_EQ(directory.report().at(0).successes, 78U);
}

TEST_F(DirectoryTest, OldStateIsIgnoredButADrainHasNoAge) {
  configure({name("api.example", {candidate("a.example"), candidate("192.0.2.2"), candidate("192.0.2.3")})});
  StoredEndpoint old = stored("a.example", "192.0.2.1", State::kUp, milliseconds(1));
  old.age = hours(1) + seconds(1);
  StoredEndpoint drained = stored("192.0.2.2", "192.0.2.2", State::kUp, milliseconds(1));
  drained.age = hours(100);
  drained.drained = true;
  directory.restore({old, drained}, now);
  take();
  EXPECT_THAT(last.started, IsEmpty());
  EXPECT_EQ(state("192.0.2.2"), State::kUnknown);
  EXPECT_EQ(answer(), "192.0.2.3 | -");
}

TEST_F(DirectoryTest, TheFirstSuccessfulResolutionReplacesStoredAddresses) {
  configure({name("api.example", {candidate("a.example")})});
  directory.restore({stored("a.example", "192.0.2.1", State::kUp, milliseconds(1)),
                     stored("a.example", "192.0.2.2", State::kDown, milliseconds(1))},
                    now);
  take();
  directory.resolution_failed("a.example", now);  // SERVFAIL: the stored ones stay
  EXPECT_EQ(answer(), "192.0.2.1 | -");
  directory.resolved("a.example", {ip("192.0.2.2"), ip("192.0.2.3")}, now);
  take();
  EXPECT_EQ(last.stopped.size(), 1U);
  EXPECT_EQ(last.started.size(), 1U);
  EXPECT_EQ(state("192.0.2.2"), State::kDown);
  EXPECT_EQ(answer(), "192.0.2.3 | -");
}

TEST_F(DirectoryTest, OurOwnEyesAreBetterThanStoredState) {
  configure({name("api.example", {candidate("192.0.2.1")})});
  probe("192.0.2.1", Outcome::kOk);
  directory.restore({stored("192.0.2.1", "192.0.2.1", State::kDown, milliseconds(1))}, now);
  EXPECT_EQ(state("192.0.2.1"), State::kUp);
}

TEST_F(DirectoryTest, RowsOfNamesAndCandidatesThatAreNoMoreAreIgnored) {
  configure({name("api.example", {candidate("192.0.2.1")})});
  StoredEndpoint other = stored("192.0.2.1", "192.0.2.1", State::kUp, milliseconds(1));
  other.name = "gone.example";
  directory.restore({other, stored("gone", "192.0.2.8", State::kUp, milliseconds(1)),
                     stored("192.0.2.1", "192.0.2.7", State::kUp, milliseconds(1))},
                    now);
  take();
  EXPECT_EQ(directory.report().size(), 1U);
  EXPECT_EQ(state("192.0.2.1"), State::kUnknown);
}

// --- selection through the whole ---

TEST_F(DirectoryTest, HashIsStableForAHostAndSpreadOverHosts) {
  config::Name n = name("api.example", {});
  n.selection_method = config::SelectionMethod::kHash;
  for (int i = 1; i <= 4; ++i) n.candidates.push_back(candidate("192.0.2." + std::to_string(i)));
  auto c = std::make_shared<config::Config>();
  c->names = {n};
  auto fewer = std::make_shared<config::Config>();
  n.candidates.erase(n.candidates.begin() + 1);
  fewer->names = {n};
  std::map<std::string, int> share;
  for (int host = 0; host < 1000; ++host) {
    const auto choice = [&](const std::shared_ptr<config::Config>& config) {
      Directory d("machine-" + std::to_string(host), static_cast<std::uint64_t>(host));
      d.configure(config, now);
      return describe(d.content(0));
    };
    const std::string first = choice(c);
    EXPECT_EQ(choice(c), first);
    ++share[first];
    if (first != "192.0.2.2 | -") {
      EXPECT_EQ(choice(fewer), first);  // only those that had it move
    }
  }
  ASSERT_EQ(share.size(), 4U);
  for (const auto& [address, hosts] : share) EXPECT_NEAR(hosts, 250, 60) << address;
}

// Every operation in any order: the books balance, the answer is never a drained or withdrawn address, and what
// `slots` does not list has not changed.
TEST_F(DirectoryTest, HoldsItsPromisesOverManyDrawnSteps) {
  std::uint64_t dice = 88172645463325252ULL;
  const auto below = [&dice](std::uint64_t n) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice % n;
  };
  const auto draw_names = [&] {
    std::vector<config::Name> names;
    const std::uint64_t count = below(5);
    for (std::uint64_t i = 0; i < count; ++i) {
      config::Name n = name("n" + std::to_string(i) + ".example", {});
      n.selection_method = static_cast<config::SelectionMethod>(below(6));
      n.failure_mode = static_cast<config::FailureMode>(below(6));
      n.thresholds = {.fall = 1 + static_cast<std::uint32_t>(below(3)),
                      .rise = 1 + static_cast<std::uint32_t>(below(2)),
                      .ok_reset = 3};
      n.min_available = 1 + static_cast<std::uint32_t>(below(3));
      n.answer_count = static_cast<std::uint8_t>(1 + below(8));
      if (below(3) == 0) n.max_rtt = milliseconds(below(20));
      const std::uint64_t candidates = 1 + below(4);
      for (std::uint64_t c = 0; c < candidates; ++c) {
        const std::uint64_t kind = below(6);
        config::Candidate added =
            candidate(kind == 0 ? "192.0.2." + std::to_string(below(4)) : "h" + std::to_string(kind) + ".example",
                      static_cast<std::uint32_t>(below(2)));
        added.title += "-" + std::to_string(c);
        if (below(4) == 0) added.check = with_path(added.check, "/other");
        n.candidates.push_back(added);
      }
      names.push_back(n);
    }
    return names;
  };
  std::vector<table::SlotContent> shown;
  configure(draw_names());
  for (const std::uint32_t slot : last.slots) shown.push_back(directory.content(slot));
  for (int step = 0; step < 20'000; ++step) {
    now += milliseconds(below(1500));
    const std::uint64_t kind = below(100);
    bool reloaded = false;
    if (kind == 0) {
      auto c = std::make_shared<config::Config>();
      c->names = draw_names();
      directory.configure(c, now);
      shown.assign(c->names.size(), {});
      reloaded = true;
    } else if (kind < 6) {
      std::vector<IpAddress> addresses;
      for (std::uint64_t i = below(4); i > 0; --i) {
        addresses.push_back(
            ip(below(3) == 0 ? "2001:db8::" + std::to_string(below(4)) : "192.0.2." + std::to_string(below(6))));
      }
      directory.resolved("h" + std::to_string(below(6)) + ".example", addresses, now);
    } else if (kind < 9) {
      const std::vector<EndpointReport> rows = directory.report();
      if (!rows.empty()) {
        const EndpointReport& row = rows[below(rows.size())];
        EXPECT_TRUE(directory.set_drained(below(2) == 0 ? "" : row.name, row.candidate, below(2) == 0, now));
      }
    } else if (kind < 14) {
      directory.tick(now);
    } else if (!running.empty()) {
      auto it = running.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(below(running.size())));
      Observation o;
      o.outcome = below(2) == 0 ? Outcome::kOk : Outcome::kTimeout;
      o.started = now - milliseconds(below(2000));
      o.total = o.connect = milliseconds(below(30));
      directory.observe(*it, o, now);
    }
    take();

    const std::set<std::uint32_t> listed(last.slots.begin(), last.slots.end());
    EXPECT_EQ(listed.size(), last.slots.size());
    const std::vector<EndpointReport> rows = directory.report();
    std::size_t unknown_or_known = 0;
    for (std::uint32_t slot = 0; slot < shown.size(); ++slot) {
      const table::SlotContent content = directory.content(slot);
      EXPECT_EQ(listed.contains(slot), reloaded || !(content == shown[slot])) << "step " << step;
      shown[slot] = content;
      for (const table::FamilyAnswer* family : {&content.v4, &content.v6}) {
        EXPECT_LE(family->count, table::kMaxAddresses);
        EXPECT_LE(family->group, family->count);
        EXPECT_EQ(family->kind == table::Kind::kAddresses, family->count > 0);
        for (std::size_t i = 0; i < family->count; ++i) {
          ++unknown_or_known;
          const IpAddress address{family == &content.v4 ? Family::kV4 : Family::kV6, family->addresses[i]};
          const std::string of = "n" + std::to_string(slot) + ".example";
          bool known = false;
          for (const EndpointReport& row : rows) {
            if (row.name != of || row.address != address) continue;
            known = true;
            EXPECT_FALSE(row.drained) << "step " << step;
          }
          EXPECT_TRUE(known) << "step " << step;
        }
      }
    }
    if (HasFailure()) FAIL() << "step " << step;
  }
}

// --- more equals than a slot holds (ranking.h) ---

TEST_F(DirectoryTest, TheNextShiftIsInTheSlotAndNoEvent) {
  std::vector<config::Candidate> candidates;
  for (int i = 1; i <= 10; ++i) candidates.push_back(candidate("192.0.2." + std::to_string(i)));
  config::Name pool = name("pool.example", candidates);
  pool.selection_method = config::SelectionMethod::kRandom;
  configure({pool});
  for (int i = 1; i <= 10; ++i) probe("192.0.2." + std::to_string(i), Outcome::kOk);
  std::set<std::string> answers;
  for (int i = 0; i < 8; ++i) {
    ASSERT_NE(directory.next_tick(), kNever);
    now = directory.next_tick();
    directory.tick(now);
    const Changes changes = take();
    EXPECT_THAT(changes.shifts, ElementsAre(0U));
    EXPECT_THAT(changes.slots, IsEmpty());
    EXPECT_THAT(changes.events, IsEmpty());
    answers.insert(answer());
  }
  EXPECT_EQ(answers.size(), 2U);
  // What is no change of shifts is told.
  probe("192.0.2.3", Outcome::kConnectError, milliseconds(0), 2);
  const Changes changes = probe("192.0.2.3", Outcome::kConnectError, milliseconds(0));
  EXPECT_THAT(changes.slots, ElementsAre(0U));
  EXPECT_EQ(changes.events.size(), 2U) << "down, and the choice";
  for (int i = 0; i < 4; ++i) {
    directory.tick(now = directory.next_tick());
    EXPECT_THAT(answer(), Not(HasSubstr("192.0.2.3")));
  }
}

TEST_F(DirectoryTest, AThousandNamesWithShiftsHaveLongerOnes) {
  std::vector<config::Candidate> candidates;
  for (int i = 1; i <= 9; ++i) candidates.push_back(candidate("192.0.2." + std::to_string(i)));
  std::vector<config::Name> pools;
  for (int i = 0; i < 1'000; ++i) {
    pools.push_back(name("pool" + std::to_string(i) + ".example", candidates));
    pools.back().selection_method = config::SelectionMethod::kRandom;
  }
  configure(pools);
  for (int i = 1; i <= 9; ++i) probe("192.0.2." + std::to_string(i), Outcome::kOk);
  std::size_t shifts = 0;
  for (const Instant end = now + seconds(2); directory.next_tick() < end;) {
    directory.tick(now = directory.next_tick());
    shifts += take().shifts.size();
  }
  EXPECT_GT(shifts, 8'000U);
  EXPECT_LT(shifts, 12'000U) << "two seconds of 200 ms each, and not of 100";
}

}  // namespace
}  // namespace har::health
