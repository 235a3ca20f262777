#include "probe/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <vector>

#include "probe/lateness.h"

namespace har::probe {
namespace {

using health::CheckId;
using health::Outcome;
using health::Pace;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Instant at(Duration since) { return Instant(seconds(1'000)) + since; }

// What an endpoint does from some time on.
struct Behaviour {
  Outcome outcome = Outcome::kOk;  // kTimeout: silence, kConnectError: refusal
  Duration takes = milliseconds(5);
};

// A small honest world with virtual time: endpoints that behave, hysteresis as plain as SEMANTICS has it, and the
// schedule between them. Runs no probe; an outcome comes when the behaviour says so, a timeout when it would be up for
// the prober.
class World {
 public:
  explicit World(ProbeLimits limits = {}, std::uint64_t seed = 1) : schedule(limits, seed) {}

  void add(CheckId id, Rhythm rhythm = {}, Behaviour behaviour = {}) {
    Endpoint& e = endpoints[id];
    e.behaviour = behaviour;
    e.rhythm = rhythm;
    schedule.add(id, rhythm, e.pace, now);
  }

  // Between `from` and `to` the loop serves nothing.
  void stand_still(Instant from, Instant to) {
    stall_from = from;
    stall_to = to;
    lateness.start(now);
    tick = now + Lateness::kTick;
  }

  void run_until(Instant end) {
    for (;;) {
      while (const auto start = schedule.take_due(now)) begin(*start);
      const Instant due = schedule.next_due();
      const Instant outcome = outcomes.empty() ? kNever : outcomes.begin()->first;
      Instant next = std::min({std::max(due, now), outcome, tick});
      if (stall_from <= next && next < stall_to) next = stall_to;
      if (next > end) break;
      if (next == now && due <= now && outcome > now) {  // nothing was taken although it is due
        ++idle_turns;
        ASSERT_LT(idle_turns, 1'000'000) << "the schedule says due and gives nothing";
      }
      now = next;
      while (!outcomes.empty() && outcomes.begin()->first <= now) {
        const Ending ending = outcomes.begin()->second;
        outcomes.erase(outcomes.begin());
        end_probe(ending);
      }
      if (tick <= now) {
        lateness.tick(now);
        tick = now + Lateness::kTick;
      }
    }
    now = std::max(now, end);
  }

  struct Endpoint {
    Rhythm rhythm;
    Behaviour behaviour;
    Pace pace;
    bool known = false, up = false;
    std::uint32_t failures = 0, successes = 0;
    std::vector<Instant> starts;
    std::vector<Instant> failed_at;
    std::uint32_t in_flight = 0, most_in_flight = 0;
    Instant went_down{};
    Duration rtt{};
  };
  struct Ending {
    CheckId id;
    std::uint32_t serial;
    Outcome outcome;
    bool tls;
    Instant started;
    Patience patience;
  };

  void begin(const Schedule::Start& start) {
    Endpoint& e = endpoints.at(start.id);
    e.starts.push_back(now);
    e.most_in_flight = std::max(e.most_in_flight, ++e.in_flight);
    most_in_flight = std::max(most_in_flight, schedule.in_flight());
    most_handshakes = std::max(most_handshakes, schedule.handshakes());
    const Duration takes = e.behaviour.outcome == Outcome::kTimeout ? timeout : e.behaviour.takes;
    outcomes.emplace(now + takes, Ending{.id = start.id,
                                         .serial = start.serial,
                                         .outcome = e.behaviour.outcome,
                                         .tls = e.rhythm.tls,
                                         .started = now,
                                         .patience = Patience(timeout, lateness.lost(now))});
  }

  void end_probe(const Ending& ending) {
    Endpoint& e = endpoints.at(ending.id);
    const bool silent = ending.outcome == Outcome::kTimeout;
    const Duration lost = lateness.lost(now);
    if (const Instant end = ending.started + ending.patience.lasts(lost); silent && end > now) {
      outcomes.emplace(end, ending);
      return;
    }
    --e.in_flight;
    if (ending.tls) schedule.handshake_ended();
    if (silent && ending.patience.is_spoilt(lost)) {
      ++discarded;
      return schedule.ask_again(ending.id, ending.serial, now, true);
    }
    schedule.ended(ending.id, ending.serial);
    const bool ok = ending.outcome == Outcome::kOk;
    if (ok) e.rtt = e.behaviour.takes;
    if (!ok) e.failed_at.push_back(now);
    e.failures = ok ? 0 : e.failures + 1;
    e.successes = ok ? e.successes + 1 : 0;
    if (!e.known) {
      e.known = true;
      e.up = ok;
      if (!ok) e.went_down = now;
    } else if (e.up && e.failures >= 3) {
      e.up = false;
      e.went_down = now;
    } else if (!e.up && e.successes >= 2) {
      e.up = true;
    }
    e.pace.disagrees = ok != e.up;
    e.pace.refused = ending.outcome == Outcome::kConnectError;
    e.pace.down_since = e.up ? std::nullopt : std::optional(e.went_down);
    e.pace.rtt = e.rtt;
    schedule.repace(ending.id, e.pace);
  }

  Instant now = at({});
  Duration timeout = seconds(1);
  Schedule schedule;
  Lateness lateness;
  Instant stall_from = kNever, stall_to = kNever, tick = kNever;
  int discarded = 0;
  std::map<CheckId, Endpoint> endpoints;
  std::multimap<Instant, Ending> outcomes;
  std::uint32_t most_in_flight = 0, most_handshakes = 0;
  int idle_turns = 0;
};

// The worst case over many endpoints that die at all phases of their interval: from the death to the third failure.
Duration worst_detection(Outcome outcome, Duration takes, Duration rtt) {
  Duration worst{};
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    World world({}, seed);
    constexpr CheckId kCount = 500;
    for (CheckId id = 0; id < kCount; ++id) world.add(id, {}, {.outcome = Outcome::kOk, .takes = rtt});
    world.run_until(at(seconds(20)) + milliseconds(137 * seed));
    const Instant death = world.now;
    for (auto& [id, e] : world.endpoints) {
      EXPECT_TRUE(e.up);
      e.behaviour = {.outcome = outcome, .takes = takes};
    }
    world.run_until(death + seconds(10));
    for (auto& [id, e] : world.endpoints) {
      EXPECT_FALSE(e.up);
      EXPECT_GE(e.failed_at.size(), 3U);
      worst = std::max(worst, e.failed_at.at(2) - death);
      EXPECT_LE(e.most_in_flight, 3U);
    }
  }
  return worst;
}

TEST(Schedule, ARefusingEndpointHasItsThirdFailureWithinTwoAndAHalfSeconds) {
  const Duration worst = worst_detection(Outcome::kConnectError, microseconds(100), milliseconds(5));
  EXPECT_LE(worst, milliseconds(2'400));
  EXPECT_GE(worst, milliseconds(2'000));  // else the test does not reach the worst case
}

TEST(Schedule, OneThatAnswers500HasItsThirdFailureWithinThreePointThreeSeconds) {
  const Duration worst = worst_detection(Outcome::kResponseError, milliseconds(50), milliseconds(50));
  EXPECT_LE(worst, milliseconds(3'200));
  EXPECT_GE(worst, milliseconds(2'800));
}

TEST(Schedule, ASilentOneHasItsThirdFailureWithinFourPointTwoSeconds) {
  const Duration worst = worst_detection(Outcome::kTimeout, {}, milliseconds(20));
  EXPECT_LE(worst, milliseconds(4'100));
  EXPECT_GE(worst, milliseconds(3'800));
}

// Endpoints at all phases of their interval die, and the loop stands still once at some moment until the third failure
// of the last one; from the death to the third failure.
struct Stalled {
  Duration worst{};
  int discarded = 0;
};
Stalled worst_detection_with_a_stall(Duration stall) {
  Stalled all;
  for (Duration after = -seconds(1); after < milliseconds(4'200); after += milliseconds(40)) {
    World world({}, static_cast<std::uint64_t>(after.count()));
    for (CheckId id = 0; id < 100; ++id) world.add(id, {}, {.outcome = Outcome::kOk, .takes = milliseconds(20)});
    world.run_until(at(seconds(15)));
    const Instant death = world.now + seconds(1);
    world.stand_still(death + after, death + after + stall);
    world.run_until(death);
    for (auto& [id, e] : world.endpoints) e.behaviour = {.outcome = Outcome::kTimeout, .takes = {}};
    world.run_until(death + seconds(10));
    for (const auto& [id, e] : world.endpoints) {
      EXPECT_FALSE(e.up);
      all.worst = std::max(all.worst, e.failed_at.at(2) - death);
    }
    all.discarded += world.discarded;
  }
  return all;
}

TEST(Schedule, ASilentOneHasItsThirdFailureWithinFourPointTwoSecondsAlthoughOurLoopStallsMeanwhile) {
  const Stalled stalled = worst_detection_with_a_stall(milliseconds(150));
  EXPECT_LE(stalled.worst, milliseconds(4'200));
  EXPECT_GE(stalled.worst, milliseconds(4'100));  // else the test does not reach the worst case
  EXPECT_EQ(stalled.discarded, 0);
}

TEST(Schedule, AStallThatIsTooLongForAnyDeadlineCostsATimeoutMore) {
  const Stalled stalled = worst_detection_with_a_stall(milliseconds(600));
  EXPECT_GT(stalled.discarded, 0);
  EXPECT_LE(stalled.worst, milliseconds(4'000 + 600 + 1'000));
}

TEST(Schedule, ASlowEndpointIsNotDoubtedBeforeFourTimesItsRtt) {
  World world;
  world.add(1, {}, {.outcome = Outcome::kOk, .takes = milliseconds(300)});
  world.run_until(at(seconds(10)));
  auto& e = world.endpoints.at(1);
  e.behaviour.outcome = Outcome::kTimeout;
  const auto before = e.starts.size();
  world.run_until(at(seconds(13)));
  ASSERT_GE(e.starts.size(), before + 2);
  EXPECT_EQ(e.starts[before + 1] - e.starts[before], milliseconds(1'000));  // its timeout; 4 RTT would be 1.2 s
}

TEST(Schedule, IntervalsRunFromStartToStartAndJitterOnlyShortensThem) {
  World world;
  for (CheckId id = 0; id < 50; ++id) world.add(id, {}, {.outcome = Outcome::kOk, .takes = milliseconds(200)});
  world.run_until(at(seconds(60)));
  Duration shortest = seconds(9), longest{};
  for (const auto& [id, e] : world.endpoints) {
    EXPECT_LE(e.starts[1] - e.starts[0], seconds(2));
    for (std::size_t i = 2; i < e.starts.size(); ++i) {
      shortest = std::min(shortest, e.starts[i] - e.starts[i - 1]);
      longest = std::max(longest, e.starts[i] - e.starts[i - 1]);
    }
  }
  EXPECT_GE(shortest, milliseconds(1'800));
  EXPECT_LE(shortest, milliseconds(1'820));
  EXPECT_LE(longest, milliseconds(2'000));
  EXPECT_GE(longest, milliseconds(1'980));
}

TEST(Schedule, FirstProbesArePacedAndSecondOnesSpreadOverTheInterval) {
  World world;
  for (CheckId id = 0; id < 3'000; ++id) world.add(id);
  world.run_until(at(seconds(3)));
  std::map<long, int> first_per_slot, second_per_tenth;
  for (const auto& [id, e] : world.endpoints) {
    ASSERT_GE(e.starts.size(), 2U);
    ++first_per_slot[(e.starts[0] - at({})) / milliseconds(10)];
    ++second_per_tenth[(e.starts[1] - e.starts[0]) / milliseconds(150)];
  }
  EXPECT_EQ(first_per_slot.size(), 60U);  // 50 in each 10 ms
  for (const auto& [slot, count] : first_per_slot) EXPECT_EQ(count, 50);
  for (long tenth = 4; tenth < 13; ++tenth) EXPECT_NEAR(second_per_tenth[tenth], 300, 100) << tenth;
}

TEST(Schedule, AnEndpointThatComesBackIsAskedAgainAtThePaceForDoubts) {
  World world;
  world.add(1, {}, {.outcome = Outcome::kConnectError});
  world.run_until(at(seconds(20)));
  auto& e = world.endpoints.at(1);
  ASSERT_FALSE(e.up);
  e.behaviour.outcome = Outcome::kOk;
  const auto before = e.starts.size();
  world.run_until(at(seconds(24)));
  EXPECT_TRUE(e.up);
  EXPECT_EQ(e.starts[before + 1] - e.starts[before], milliseconds(500));
}

TEST(Schedule, ASilentEndpointThatIsDownIsNotHurried) {
  World world;
  world.add(1, {}, {.outcome = Outcome::kTimeout});
  world.run_until(at(seconds(30)));
  const auto& starts = world.endpoints.at(1).starts;
  for (std::size_t i = 6; i < starts.size(); ++i) EXPECT_GE(starts[i] - starts[i - 1], milliseconds(1'800));
}

TEST(Schedule, AfterAMinuteDownThePaceFallsBackDoublingToFrequencyDown) {
  for (const Outcome outcome : {Outcome::kConnectError, Outcome::kTimeout}) {
    World world;
    world.add(1, {}, {.outcome = outcome});
    world.run_until(at(seconds(200)));
    auto& e = world.endpoints.at(1);
    std::vector<double> gaps;
    for (std::size_t i = 1; i < e.starts.size(); ++i) {
      const Duration gap = e.starts[i] - e.starts[i - 1];
      if (e.starts[i - 1] - e.went_down >= seconds(60)) {
        gaps.push_back(to_seconds(gap));
      } else {
        EXPECT_LE(gap, seconds(2));
      }
    }
    ASSERT_GE(gaps.size(), 6U);
    const double expected[] = {4, 8, 15, 15, 15, 15};
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_LE(gaps[i], expected[i]);
      EXPECT_GE(gaps[i], expected[i] * 0.9 - 1e-6);
    }
    // One that comes back is up soon after its next probe, and on the plain pace from then on.
    e.behaviour.outcome = Outcome::kOk;
    world.run_until(at(seconds(216)));
    EXPECT_TRUE(e.up);
    world.run_until(at(seconds(230)));
    EXPECT_LE(e.starts.back() - e.starts[e.starts.size() - 2], seconds(2));
  }
}

// The probe that brought it up had begun while it was down: the long interval of that time held once more.
TEST(Schedule, AnEndpointThatCameBackAfterMinutesIsOnThePlainPaceFromTheProbeOnThatBroughtItUp) {
  World world;
  for (CheckId id = 0; id < 20; ++id) world.add(id, {}, {.outcome = Outcome::kConnectError});
  world.run_until(at(seconds(200)));
  for (auto& [id, e] : world.endpoints) e.behaviour.outcome = Outcome::kOk;
  world.run_until(at(seconds(240)));
  for (const auto& [id, e] : world.endpoints) {
    EXPECT_TRUE(e.up);
    const auto back = std::lower_bound(e.starts.begin(), e.starts.end(), at(seconds(200)));
    for (auto start = back + 1; start != e.starts.end(); ++start) EXPECT_LE(*start - *(start - 1), seconds(2)) << id;
  }
}

TEST(Schedule, AFrequencyLongerThanFrequencyDownIsNotShortenedByBeingDown) {
  World world;
  world.add(1, {.frequency = seconds(30), .frequency_changing = milliseconds(7'500)}, {.outcome = Outcome::kTimeout});
  world.run_until(at(seconds(600)));
  const auto& starts = world.endpoints.at(1).starts;
  for (std::size_t i = 6; i < starts.size(); ++i) EXPECT_NEAR(to_seconds(starts[i] - starts[i - 1]), 28.5, 1.51);
}

TEST(Schedule, CheckNowStartsAtOnceButNeverMoreThanFall) {
  World world;
  world.add(1);
  world.run_until(at(seconds(10)));
  auto& e = world.endpoints.at(1);
  const auto before = e.starts.size();
  world.schedule.check_now(1, world.now);
  world.run_until(world.now);
  EXPECT_EQ(e.starts.size(), before + 1);
  EXPECT_EQ(e.starts.back(), world.now);
  e.behaviour.outcome = Outcome::kTimeout;
  for (int i = 0; i < 10; ++i) {
    world.schedule.check_now(1, world.now);
    world.run_until(world.now);
  }
  EXPECT_EQ(e.most_in_flight, 3U);
  EXPECT_EQ(e.in_flight, 3U);
}

TEST(Schedule, AFreshRoundAsksEverybodyPacedAsTheFirstOne) {
  Schedule schedule({}, 1);
  for (CheckId id = 1; id <= 120; ++id) schedule.add(id, {}, {}, at({}));
  const auto take_all = [&](Instant now) {
    std::size_t taken = 0;
    for (; const auto start = schedule.take_due(now); ++taken) schedule.ended(start->id, start->serial);
    return taken;
  };
  take_all(at(milliseconds(100)));
  schedule.check_all_now(at(milliseconds(200)));
  EXPECT_EQ(take_all(at(milliseconds(200))), 50U);
  EXPECT_EQ(take_all(at(milliseconds(210))), 50U);
  EXPECT_EQ(take_all(at(milliseconds(220))), 20U);
  EXPECT_GT(schedule.next_due(), at(milliseconds(220))) << "and then as ever";
}

// Ten thousand take two seconds: who was due before, or is in doubt by then, was put off to the slot that fell to it.
TEST(Schedule, AFreshRoundOfManyPutsNobodyOff) {
  World world;
  for (CheckId id = 0; id < 10'000; ++id) world.add(id, {}, {.takes = milliseconds(20)});
  world.run_until(at(seconds(10)));
  const Instant round = world.now;
  for (CheckId id = 0; id < 10'000; id += 100) world.endpoints.at(id).behaviour.outcome = Outcome::kTimeout;
  world.run_until(round + milliseconds(300));  // some of these are unanswered
  world.schedule.check_all_now(world.now);
  world.run_until(round + seconds(8));
  int most = 0;
  std::map<long, int> per_tenth;
  for (const auto& [id, e] : world.endpoints) {
    for (std::size_t i = 2; i < e.starts.size(); ++i) {
      EXPECT_LE(e.starts[i] - e.starts[i - 1], seconds(2)) << id;
      if (e.starts[i] >= round) most = std::max(most, ++per_tenth[(e.starts[i] - round) / milliseconds(100)]);
    }
    if (id % 100 != 0) continue;
    EXPECT_FALSE(e.up) << id;
    EXPECT_LE(e.failed_at.at(2) - round, milliseconds(4'020)) << id;
  }
  EXPECT_LE(most, 700) << "a fresh round is paced";
}

// Rounds that follow fast (a bridge comes up, and its links) took a slot for each check and round: what was added after
// them waited for all of these.
TEST(Schedule, ManyFreshRoundsTakeNoMoreSlotsThanOne) {
  Schedule schedule({}, 1);
  for (CheckId id = 0; id < 10'000; ++id) schedule.add(id, {}, {}, at({}));
  for (Instant now = at({}); now < at(seconds(10)); now += milliseconds(1)) {
    while (const auto start = schedule.take_due(now)) schedule.ended(start->id, start->serial);
  }
  for (int i = 0; i < 10; ++i) schedule.check_all_now(at(seconds(10)) + milliseconds(i));
  schedule.add(10'000, {}, {}, at(seconds(10)) + milliseconds(10));
  int before_it = 0;
  bool is_asked = false;
  for (Instant now = at(seconds(10)); now < at(seconds(13)) && !is_asked; now += milliseconds(1)) {
    for (auto start = schedule.take_due(now); start && !is_asked; start = schedule.take_due(now)) {
      schedule.ended(start->id, start->serial);
      is_asked = start->id == 10'000;
      before_it += is_asked ? 0 : 1;
    }
  }
  EXPECT_TRUE(is_asked) << before_it;
}

// We lack descriptors, say: no sooner than at the pace for doubts, although one that refuses is asked at once again.
TEST(Schedule, AProbeThatCouldNotBeginIsNotHurriedByTheRules) {
  Schedule schedule({}, 1);
  schedule.add(7, {}, {}, at({}));
  const auto first = schedule.take_due(at({}));
  ASSERT_TRUE(first);
  Pace pace;
  pace.disagrees = pace.refused = true;
  schedule.repace(7, pace);
  schedule.ask_again(7, first->serial, at({}), false);
  EXPECT_EQ(schedule.next_due(), at(milliseconds(500)));
  schedule.check_all_now(at(milliseconds(200)));
  EXPECT_EQ(schedule.next_due(), at(milliseconds(200)));
}

TEST(Schedule, AProbeThatSaidNothingIsAskedAgainAtOnce) {
  Schedule schedule({}, 1);
  schedule.add(7, {}, {}, at({}));
  const auto first = schedule.take_due(at({}));
  ASSERT_TRUE(first);
  schedule.ask_again(7, first->serial, at(seconds(1)), true);
  EXPECT_EQ(schedule.next_due(), at(seconds(1)));
  const auto second = schedule.take_due(at(seconds(1)));
  ASSERT_TRUE(second);
  schedule.ask_again(7, second->serial, at(seconds(2)), false);
  EXPECT_EQ(schedule.next_due(), at(milliseconds(2'500)));
  EXPECT_EQ(schedule.in_flight(), 0U);
}

TEST(Schedule, ARemovedCheckIsCountedOutAndItsLateOutcomeIgnored) {
  Schedule schedule({}, 1);
  schedule.add(7, {}, {}, at({}));
  const auto start = schedule.take_due(at({}));
  ASSERT_TRUE(start);
  EXPECT_EQ(schedule.in_flight(), 1U);
  schedule.remove(7);
  EXPECT_EQ(schedule.in_flight(), 0U);
  schedule.ended(7, start->serial);
  schedule.repace(7, {});
  schedule.check_now(7, at({}));
  EXPECT_EQ(schedule.next_due(), kNever);
}

TEST(Schedule, LimitsHoldAndAllIntervalsStretchAlikeUntilTheScheduleIsKept) {
  World world({.in_flight = 100, .tls_handshakes = 64});
  // 400 silent endpoints of 1 s each would need 200 in flight: twice the limit. A slower kind beside them.
  const Rhythm quick{.frequency_down = seconds(2)};
  const Rhythm slow{.frequency = seconds(4), .frequency_changing = seconds(1), .frequency_down = seconds(4)};
  for (CheckId id = 0; id < 500; ++id) world.add(id, id < 300 ? quick : slow, {.outcome = Outcome::kTimeout});
  world.run_until(at(seconds(100)));
  EXPECT_EQ(world.most_in_flight, 100U);
  EXPECT_GE(world.schedule.stretch(), 1.6);
  EXPECT_LE(world.schedule.stretch(), 3.0);
  EXPECT_GT(world.schedule.late(), 0U);
  const auto gap = [&](CheckId first, CheckId last) {
    double sum = 0;
    int count = 0;
    for (CheckId id = first; id < last; ++id) {
      const auto& starts = world.endpoints.at(id).starts;
      for (std::size_t i = 1; i < starts.size(); ++i) {
        if (starts[i - 1] < at(seconds(20))) continue;
        sum += to_seconds(starts[i] - starts[i - 1]);
        ++count;
      }
    }
    return sum / count;
  };
  EXPECT_NEAR(gap(300, 500) / gap(0, 300), 2.0, 0.25);  // alike: the ratio stays
  // The overload ends, and so does the stretching.
  for (auto& [id, e] : world.endpoints) e.behaviour = {};
  world.run_until(at(seconds(200)));
  EXPECT_EQ(world.schedule.stretch(), 1.0);
}

TEST(Schedule, WaitingForAHandshakeHoldsUpNoOther) {
  World world({.in_flight = 2'000, .tls_handshakes = 4});
  for (CheckId id = 0; id < 40; ++id) {
    world.add(id, {.tls = true}, {.outcome = Outcome::kTimeout});
    world.add(1'000 + id, {}, {});
  }
  world.run_until(at(seconds(1)) - microseconds(1));
  EXPECT_EQ(world.most_handshakes, 4U);
  for (CheckId id = 1'000; id < 1'040; ++id) EXPECT_GE(world.endpoints.at(id).starts.size(), 1U);
  world.run_until(at(seconds(15)));
  EXPECT_EQ(world.most_handshakes, 4U);
  for (CheckId id = 0; id < 40; ++id) EXPECT_GE(world.endpoints.at(id).starts.size(), 1U) << id;
}

TEST(Schedule, OneStallOfTheLoopStretchesNothing) {
  World world;
  for (CheckId id = 0; id < 200; ++id) world.add(id);
  world.run_until(at(seconds(10)));
  world.now += milliseconds(700);  // nobody looked for a while
  world.run_until(at(seconds(20)));
  EXPECT_EQ(world.schedule.stretch(), 1.0);
}

// What waited during a stall starts after the review that found it late. It counted a second time there, and after a
// few stalls, of which the average rate remembered nothing but that little was started, all intervals became longer.
TEST(Schedule, StallsNowAndThenStretchNothing) {
  World world;
  for (CheckId id = 0; id < 18; ++id) world.add(id);
  world.run_until(at(seconds(10)));
  for (int i = 0; i < 10; ++i) {
    // What disagrees with its state is to be asked four times as often.
    for (auto& [id, e] : world.endpoints) e.behaviour.outcome = i % 2 == 0 ? Outcome::kResponseError : Outcome::kOk;
    world.now += milliseconds(1'200);
    world.run_until(world.now + milliseconds(1'700));
    EXPECT_EQ(world.schedule.stretch(), 1.0) << i;
  }
}

// The first probes take all that there is for a while, and the second ones are late because of them: not because the
// configuration asks for more than can be done.
TEST(Schedule, AStartAtFourFifthsOfWhatCanBeDoneStretchesNothing) {
  World world({.in_flight = 2'000, .tls_handshakes = 1});
  for (CheckId id = 0; id < 1'800; ++id) world.add(id, {.tls = true}, {.takes = microseconds(840)});
  double most = 1;
  for (Duration since{}; since < seconds(20); since += milliseconds(100)) {
    world.run_until(at(since));
    most = std::max(most, world.schedule.stretch());
  }
  EXPECT_LT(most, 1.1);
  for (const auto& [id, e] : world.endpoints) EXPECT_GE(e.starts.size(), 9U) << id;
}

TEST(Schedule, ThirtyThousandChecksAreKeptInTime) {
  World world;
  for (CheckId id = 0; id < 30'000; ++id) world.add(id);
  const auto began = std::chrono::steady_clock::now();
  world.run_until(at(seconds(12)));
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(world.schedule.stretch(), 1.0);
  EXPECT_EQ(world.schedule.late(), 0U);
  EXPECT_GE(world.schedule.started(), 100'000U);
  RecordProperty("nanoseconds_per_probe", static_cast<int>(took.count() / static_cast<long>(world.schedule.started())));
}

}  // namespace
}  // namespace har::probe
