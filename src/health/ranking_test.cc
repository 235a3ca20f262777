#include "health/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "health/rtt.h"

namespace har::health {
namespace {

using config::SelectionMethod;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

// Endpoints of one name, ranked again and again with the memory of the time before.
class Race {
 public:
  explicit Race(SelectionMethod method = SelectionMethod::kBestRtt) { name.selection_method = method; }

  Contender& add(const std::string& address, State state, double rtt_ms = 0, std::uint32_t tier = 0) {
    Contender& c = contenders.emplace_back();
    c.address = ip(address);
    c.candidate = static_cast<std::uint32_t>(contenders.size() - 1);
    c.same_as = c.candidate;
    for (std::uint32_t i = 0; i < c.candidate; ++i) {
      if (contenders[i].address == c.address) c.same_as = std::min(c.same_as, i);
    }
    c.state = state;
    c.tier = tier;
    set_rtt(c.candidate, rtt_ms);
    c.measurements = rtt_ms > 0 ? kEnoughMeasurements : 0;
    return c;
  }
  void set_rtt(std::size_t i, double ms) {
    contenders[i].rtt = std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(ms));
  }
  void rank() {
    ranker.rank(name, contenders, now, ranking);
    for (std::size_t i = 0; i < contenders.size(); ++i) contenders[i].memory = ranking.memory[i];
  }
  std::vector<std::uint32_t> order(Family family = Family::kV4) {
    rank();
    std::vector<std::uint32_t> indices;
    for (const Place& place : ranking.family(family).places) indices.push_back(place.index);
    return indices;
  }
  std::uint32_t first() { return order().at(0); }
  Why why(std::uint32_t index) const {
    for (const std::vector<Place>* list : {&ranking.v4.places, &ranking.v6.places, &ranking.left_out}) {
      for (const Place& place : *list) {
        if (place.index == index) return place.why;
      }
    }
    ADD_FAILURE() << "no place for " << index;
    return Why::kDown;
  }

  config::Name name;
  std::vector<Contender> contenders;
  Instant now{seconds(1000)};
  Ranker ranker;
  Ranking ranking;
};

TEST(Ranking, WithoutEndpointsThereIsNoAddress) {
  Race race;
  EXPECT_THAT(race.order(), IsEmpty());
  EXPECT_EQ(race.ranking.basis, Ranking::Basis::kNoAddress);
}

TEST(Ranking, TheSmallestRttIsFirst) {
  Race race;
  race.add("192.0.2.1", State::kUp, 12);
  race.add("192.0.2.2", State::kUp, 3);
  race.add("192.0.2.3", State::kUp, 7);
  EXPECT_THAT(race.order(), ElementsAre(1, 2, 0));
  EXPECT_EQ(race.why(1), Why::kSmallestRtt);
  EXPECT_EQ(race.why(2), Why::kRtt);
}

TEST(Ranking, AnUnmeasuredEndpointStandsBehindTheMeasured) {
  Race race;
  race.add("192.0.2.1", State::kUp);
  race.add("192.0.2.2", State::kUp, 300);
  EXPECT_THAT(race.order(), ElementsAre(1, 0));
}

TEST(Ranking, WhatIsDownOrDrainedIsLeftOut) {
  Race race;
  race.add("192.0.2.1", State::kDown, 1);
  race.add("192.0.2.2", State::kUp, 1).drained = true;
  race.add("192.0.2.3", State::kUp, 9);
  EXPECT_THAT(race.order(), ElementsAre(2));
  EXPECT_EQ(race.why(0), Why::kDown);
  EXPECT_EQ(race.why(1), Why::kDrained);
}

TEST(Ranking, ADrainedAddressIsLeftOutWhereverItStands) {
  Race race;
  race.add("192.0.2.1", State::kUp, 1);
  race.add("192.0.2.1", State::kUp, 1).drained = true;
  race.add("192.0.2.3", State::kUp, 9);
  EXPECT_THAT(race.order(), ElementsAre(2));
  EXPECT_EQ(race.why(0), Why::kDrained);
}

TEST(Ranking, AnAddressOfSeveralCandidatesStandsOnce) {
  Race race;
  race.name.min_available = 2;
  race.add("192.0.2.1", State::kUp, 5);
  race.add("192.0.2.1", State::kUp, 4);
  race.add("192.0.2.3", State::kUp, 9, 1);
  EXPECT_THAT(race.order(), ElementsAre(1, 2));  // and counts once
  EXPECT_EQ(race.why(0), Why::kSameAddress);
}

TEST(Ranking, UnknownEndpointsAreUsedWhileNothingIsUp) {
  Race race;
  race.add("192.0.2.1", State::kUnknown);
  race.add("192.0.2.2", State::kUnknown);
  race.add("192.0.2.3", State::kDown, 1);
  EXPECT_THAT(race.order(), ElementsAre(0, 1));  // in the order of the file
  EXPECT_EQ(race.ranking.basis, Ranking::Basis::kUnknown);
  race.contenders[1].state = State::kUp;
  EXPECT_THAT(race.order(), ElementsAre(1));
  EXPECT_EQ(race.ranking.basis, Ranking::Basis::kUp);
  EXPECT_EQ(race.why(0), Why::kWaitsForObservation);
}

TEST(Ranking, UnknownEndpointsStandByAStoredRtt) {
  Race race;
  race.add("192.0.2.1", State::kUnknown);
  race.add("192.0.2.2", State::kUnknown, 9);
  race.add("192.0.2.3", State::kUnknown, 4);
  EXPECT_THAT(race.order(), ElementsAre(2, 1, 0));
}

TEST(Ranking, ANewEndpointOfANearerTierWaitsForItsFirstObservation) {
  Race race;
  race.add("192.0.2.1", State::kUnknown, 0, 0);
  race.add("192.0.2.2", State::kUp, 30, 1);
  EXPECT_THAT(race.order(), ElementsAre(1));
  race.contenders[0].state = State::kUp;
  EXPECT_THAT(race.order(), ElementsAre(0));
}

TEST(Ranking, AFartherTierIsUsedOnlyWhenTheNearerHasNone) {
  Race race;
  race.add("192.0.2.1", State::kUp, 50, 0);
  race.add("192.0.2.2", State::kUp, 1, 1);
  race.add("192.0.2.3", State::kUp, 1, 2);
  EXPECT_THAT(race.order(), ElementsAre(0));
  EXPECT_EQ(race.why(1), Why::kFartherTier);
  race.contenders[0].state = State::kDown;
  EXPECT_THAT(race.order(), ElementsAre(1));
  race.contenders[1].state = State::kDown;
  EXPECT_THAT(race.order(), ElementsAre(2));
  EXPECT_EQ(race.ranking.tier, 2U);
}

TEST(Ranking, MinAvailableIsFilledUpFromFartherTiersAndNoMore) {
  Race race;
  race.name.min_available = 3;
  race.add("192.0.2.1", State::kUp, 50, 0);
  race.add("192.0.2.2", State::kUp, 9, 1);
  race.add("192.0.2.3", State::kUp, 1, 2);
  race.add("192.0.2.4", State::kUp, 2, 2);
  EXPECT_THAT(race.order(), ElementsAre(0, 1, 2));
  EXPECT_EQ(race.why(1), Why::kFillsUp);
  EXPECT_EQ(race.why(3), Why::kFartherTier);
}

TEST(Ranking, TheNearestTierIsUsedWhole) {
  Race race;
  race.name.min_available = 2;
  race.add("192.0.2.1", State::kDown, 1, 0);
  for (int i = 2; i < 6; ++i) race.add("192.0.2." + std::to_string(i), State::kUp, i, 1);
  EXPECT_THAT(race.order(), ElementsAre(1, 2, 3, 4));
}

TEST(Ranking, TheTierIsChosenOverBothFamiliesTogether) {
  Race race;
  race.add("192.0.2.1", State::kDown, 1, 0);
  race.add("2001:db8::1", State::kUp, 9, 0);
  race.add("192.0.2.2", State::kUp, 1, 1);
  EXPECT_THAT(race.order(Family::kV4), IsEmpty());
  EXPECT_THAT(race.order(Family::kV6), ElementsAre(1));
}

TEST(Ranking, WhatFillsUpIsTheBestOfTheNextTierWhateverItsFamily) {
  Race race;
  race.name.min_available = 2;
  race.add("192.0.2.1", State::kUp, 20, 0);
  race.add("192.0.2.2", State::kUp, 9, 1);
  race.add("2001:db8::2", State::kUp, 5, 1);
  EXPECT_THAT(race.order(Family::kV4), ElementsAre(0));
  EXPECT_THAT(race.order(Family::kV6), ElementsAre(2));
}

TEST(Ranking, SlowEndpointsAreUsedOnlyWhenNothingFasterIsUp) {
  Race race;
  race.name.max_rtt = milliseconds(100);
  race.add("192.0.2.1", State::kUp, 150, 0);
  race.add("192.0.2.2", State::kUp, 90, 1);
  EXPECT_THAT(race.order(), ElementsAre(1));
  EXPECT_EQ(race.why(0), Why::kSlow);
  race.set_rtt(1, 300);
  EXPECT_THAT(race.order(), ElementsAre(0));
  race.set_rtt(1, 100);  // not slower than max_rtt
  EXPECT_THAT(race.order(), ElementsAre(1));
}

// --- best_rtt: margin and dwell ---

Race two(double chosen_ms, double other_ms) {
  Race race;
  race.add("192.0.2.1", State::kUp, chosen_ms);
  race.add("192.0.2.2", State::kUp, other_ms);
  race.contenders[0].memory.chosen = true;
  return race;
}

TEST(BestRtt, TheChosenKeepsItsPlaceAgainstASmallGain) {
  Race race = two(10, 8.1);  // 19 %
  for (int i = 0; i < 100; ++i, race.now += seconds(1)) EXPECT_EQ(race.first(), 0U);
  EXPECT_EQ(race.why(0), Why::kKeepsPlace);
  EXPECT_EQ(race.ranking.next_change, kNever);
}

TEST(BestRtt, AGainBelowTheLeastMarginIsSmallToo) {
  Race race = two(2, 1.1);  // 45 %, but 0.9 ms
  for (int i = 0; i < 100; ++i, race.now += seconds(1)) EXPECT_EQ(race.first(), 0U);
}

TEST(BestRtt, AClearGainTakesThePlaceAfterTheDwell) {
  Race race = two(10, 5);
  const Instant start = race.now;
  EXPECT_EQ(race.first(), 0U);
  EXPECT_EQ(race.ranking.next_change, start + seconds(10));
  race.now = start + seconds(10) - Duration(1);
  EXPECT_EQ(race.first(), 0U);
  race.now = start + seconds(10);
  EXPECT_EQ(race.first(), 1U);
  EXPECT_EQ(race.why(1), Why::kSmallestRtt);
  EXPECT_EQ(race.ranking.next_change, kNever);
}

TEST(BestRtt, TheExactMarginIsEnough) {
  Race race = two(10, 8);
  race.first();
  race.now += seconds(10);
  EXPECT_EQ(race.first(), 1U);
}

TEST(BestRtt, ABreakStartsTheDwellAfresh) {
  Race race = two(10, 5);
  race.first();
  race.now += seconds(9);
  race.set_rtt(1, 9);
  EXPECT_EQ(race.first(), 0U);
  race.now += seconds(1);
  race.set_rtt(1, 5);
  EXPECT_EQ(race.first(), 0U);
  EXPECT_EQ(race.ranking.next_change, race.now + seconds(10));
  race.now += seconds(10);
  EXPECT_EQ(race.first(), 1U);
}

TEST(BestRtt, MarginAndDwellBindOnlyOnceBothHaveFiveMeasurements) {
  Race race = two(10, 9.9);
  race.contenders[1].measurements = 4;
  EXPECT_EQ(race.first(), 1U);
  race = two(10, 9.9);
  race.contenders[0].measurements = 4;
  EXPECT_EQ(race.first(), 1U);
  race = two(10, 9.9);
  EXPECT_EQ(race.first(), 0U);
}

TEST(BestRtt, LeavingADownEndpointIsNeverDelayed) {
  Race race = two(10, 50);
  EXPECT_EQ(race.first(), 0U);
  race.contenders[0].state = State::kDown;
  EXPECT_EQ(race.first(), 1U);
  // Coming back, it has to win its place again.
  race.contenders[0].state = State::kUp;
  EXPECT_EQ(race.first(), 1U);
  race.now += seconds(10);
  EXPECT_EQ(race.first(), 0U);
}

TEST(BestRtt, AmongSeveralThatWereBetterForLongEnoughTheFastestWins) {
  Race race = two(10, 5);
  race.add("192.0.2.3", State::kUp, 4);
  race.first();
  race.now += seconds(10);
  EXPECT_EQ(race.first(), 2U);
}

TEST(BestRtt, AFlashIsNotEnoughToTakeThePlace) {
  Race race = two(10, 5);
  race.add("192.0.2.3", State::kUp, 10);
  race.first();
  race.now += seconds(9);
  race.set_rtt(2, 1);
  race.first();
  race.now += seconds(1);
  EXPECT_EQ(race.first(), 1U);                                  // better for ten seconds; the third only for one
  EXPECT_EQ(race.ranking.next_change, race.now + seconds(10));  // against the new one the third starts afresh
  race.now += seconds(10);
  EXPECT_EQ(race.first(), 2U);
}

TEST(BestRtt, ANearerTierIsTakenAtOnce) {
  Race race;
  race.add("192.0.2.1", State::kDown, 50, 0);
  race.add("192.0.2.2", State::kUp, 5, 1);
  EXPECT_EQ(race.first(), 1U);
  race.contenders[0].state = State::kUp;
  EXPECT_EQ(race.first(), 0U);
}

TEST(BestRtt, EachFamilyHasItsOwnChoice) {
  Race race;
  race.add("192.0.2.1", State::kUp, 10);
  race.add("192.0.2.2", State::kUp, 5);
  race.add("2001:db8::1", State::kUp, 3);
  race.add("2001:db8::2", State::kUp, 30);
  EXPECT_THAT(race.order(Family::kV4), ElementsAre(1, 0));
  EXPECT_THAT(race.order(Family::kV6), ElementsAre(2, 3));
}

TEST(BestRtt, NeighboursBehindTheFirstDoNotTrembleEither) {
  Race race;
  race.add("192.0.2.1", State::kUp, 1);
  race.add("192.0.2.2", State::kUp, 10);
  race.add("192.0.2.3", State::kUp, 10.5);
  EXPECT_THAT(race.order(), ElementsAre(0, 1, 2));
  race.set_rtt(1, 10.6);
  EXPECT_THAT(race.order(), ElementsAre(0, 1, 2));
  race.set_rtt(2, 5);
  EXPECT_THAT(race.order(), ElementsAre(0, 2, 1));
}

// --- the other methods ---

TEST(GroupRttRr, WithoutAThresholdAllTakeTurnsInTheOrderOfTheFile) {
  Race race(SelectionMethod::kGroupRttRr);
  race.add("192.0.2.1", State::kUp, 90);
  race.add("192.0.2.2", State::kUp, 1);
  race.add("192.0.2.3", State::kUp);
  EXPECT_THAT(race.order(), ElementsAre(0, 1, 2));
  EXPECT_EQ(race.ranking.v4.group, 3U);
}

TEST(GroupRttRr, OnlyThoseNearTheBestTakeTurns) {
  Race race(SelectionMethod::kGroupRttRr);
  race.name.group_rtt_threshold = milliseconds(5);
  race.add("192.0.2.1", State::kUp, 30);
  race.add("192.0.2.2", State::kUp, 15);
  race.add("192.0.2.3", State::kUp, 10);
  race.add("192.0.2.4", State::kUp, 15.001);
  EXPECT_THAT(race.order(), ElementsAre(1, 2, 3, 0));
  EXPECT_EQ(race.ranking.v4.group, 2U);
  EXPECT_EQ(race.why(2), Why::kEqual);
  EXPECT_EQ(race.why(3), Why::kBehindGroup);
}

TEST(GroupRttRr, TheBestIsThatOfTheFamily) {
  Race race(SelectionMethod::kGroupRttRr);
  race.name.group_rtt_threshold = milliseconds(5);
  race.add("192.0.2.1", State::kUp, 10);
  race.add("2001:db8::1", State::kUp, 50);
  race.add("2001:db8::2", State::kUp, 52);
  race.rank();
  EXPECT_EQ(race.ranking.v4.group, 1U);
  EXPECT_EQ(race.ranking.v6.group, 2U);
}

TEST(GroupRttRr, WhatFillsUpStandsBehindTheGroup) {
  Race race(SelectionMethod::kGroupRttRr);
  race.name.min_available = 2;
  race.add("192.0.2.1", State::kUp, 10, 0);
  race.add("192.0.2.2", State::kUp, 1, 1);
  EXPECT_THAT(race.order(), ElementsAre(0, 1));
  EXPECT_EQ(race.ranking.v4.group, 1U);
}

TEST(Failover, TheOrderOfTheFileHolds) {
  Race race(SelectionMethod::kFailover);
  race.add("192.0.2.1", State::kDown, 1);
  race.add("192.0.2.2", State::kUp, 90);
  race.add("192.0.2.3", State::kUp, 1);
  EXPECT_THAT(race.order(), ElementsAre(1, 2));
  EXPECT_EQ(race.ranking.v4.group, 0U);
  race.contenders[0].state = State::kUp;
  EXPECT_THAT(race.order(), ElementsAre(0, 1, 2));
}

TEST(Random, AllOfTheTierAreEquals) {
  Race race(SelectionMethod::kRandom);
  race.name.min_available = 3;
  race.add("192.0.2.1", State::kUp, 9);
  race.add("192.0.2.2", State::kUp, 1);
  race.add("192.0.2.3", State::kUp, 1, 1);
  EXPECT_THAT(race.order(), ElementsAre(0, 1, 2));
  EXPECT_EQ(race.ranking.v4.group, 2U);
}

// What part of the time, at each moment in proportion to the weights of the group, belongs to each contender.
std::vector<double> parts_over_a_period(Race& race, bool weighted) {
  std::vector<double> parts(race.contenders.size());
  const Instant end = race.now + 4 * 3 * kShortestShift;  // periods of two and of three shifts
  while (race.now < end) {
    race.rank();
    const FamilyRanking& v4 = race.ranking.v4;
    EXPECT_LE(v4.group, 8U);
    EXPECT_GT(race.ranking.next_change, race.now);
    const Instant until = std::min(race.ranking.next_change, end);
    double load = 0;
    for (std::size_t i = 0; i < v4.group; ++i) load += weighted ? race.contenders[v4.places[i].index].weight : 1;
    for (std::size_t i = 0; i < v4.group; ++i) {
      const Contender& c = race.contenders[v4.places[i].index];
      parts[c.candidate] += to_seconds(until - race.now) * (weighted ? c.weight : 1) / load;
    }
    race.now = until;
  }
  double all = 0;
  for (const double part : parts) all += part;
  for (double& part : parts) part /= all;
  return parts;
}

TEST(Shifts, OfMoreThanEightEqualsEachHasThePartThatIsItsOwn) {
  for (const SelectionMethod method : {SelectionMethod::kRandom, SelectionMethod::kGroupRttRr}) {
    for (const int count : {9, 10, 16, 17, 24}) {
      Race race(method);
      for (int i = 0; i < count; ++i) race.add("192.0.2." + std::to_string(i + 1), State::kUp, 100 - i);
      const std::vector<double> parts = parts_over_a_period(race, false);
      for (const double part : parts) EXPECT_NEAR(part, 1.0 / count, 0.001) << count;
      EXPECT_EQ(race.ranking.v4.places.size(), static_cast<std::size_t>(count)) << "the others stand behind";
      EXPECT_TRUE(race.ranking.v4.takes_shifts());
      EXPECT_EQ(race.why(0), Why::kEqual);
    }
  }
}

TEST(Shifts, LastAsLongAsTheirWeightsAre) {
  Race race(SelectionMethod::kWeighted);
  double all = 0;
  for (std::uint32_t i = 0; i < 12; ++i) {
    race.add("192.0.2." + std::to_string(i + 1), State::kUp, 1).weight = i == 3 ? 100 : i % 3;
    all += race.contenders.back().weight;
  }
  const std::vector<double> parts = parts_over_a_period(race, true);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_NEAR(parts[i], race.contenders[i].weight / all, 0.001) << i;
  }
}

TEST(Shifts, OfNoWeightAtAllAreAlike) {
  Race race(SelectionMethod::kWeighted);
  for (int i = 0; i < 10; ++i) race.add("192.0.2." + std::to_string(i + 1), State::kUp, 1).weight = 0;
  EXPECT_EQ(race.order().size(), 10U);
  EXPECT_EQ(race.ranking.v4.group, 5U);
  const std::uint32_t first = race.first();
  race.now += kShortestShift;
  EXPECT_NE(race.first(), first);
}

TEST(Shifts, AreLongerWhereVeryManyNamesTakeThem) {
  EXPECT_EQ(shift_length(0), kShortestShift);
  EXPECT_EQ(shift_length(500), kShortestShift);
  EXPECT_EQ(shift_length(501), 2 * kShortestShift);
  EXPECT_EQ(shift_length(10'000), 32 * kShortestShift);
}

TEST(Shifts, EightNeedNone) {
  Race race(SelectionMethod::kRandom);
  for (int i = 0; i < 8; ++i) race.add("192.0.2." + std::to_string(i + 1), State::kUp, 1);
  race.rank();
  EXPECT_EQ(race.ranking.v4.group, 8U);
  EXPECT_FALSE(race.ranking.v4.takes_shifts());
  EXPECT_EQ(race.ranking.next_change, kNever);
}

TEST(Hash, TheHighestValueIsFirstAndRemovingOneMovesOnlyItsOwn) {
  Race race(SelectionMethod::kHash);
  race.add("192.0.2.1", State::kUp, 1).candidate_hash = 5;
  race.add("192.0.2.2", State::kUp, 2).candidate_hash = 9;
  race.add("192.0.2.3", State::kUp, 3).candidate_hash = 7;
  EXPECT_THAT(race.order(), ElementsAre(1, 2, 0));
  race.contenders[2].state = State::kDown;
  EXPECT_THAT(race.order(), ElementsAre(1, 0));
}

// --- failure modes ---

TEST(FailureModeAll, TheLastToSucceedIsFirst) {
  Race race;
  race.add("192.0.2.1", State::kDown).last_success = Instant(seconds(10));
  race.add("192.0.2.2", State::kDown);
  race.add("192.0.2.3", State::kDown).last_success = Instant(seconds(20));
  race.add("192.0.2.4", State::kDown).drained = true;
  race.add("2001:db8::1", State::kDown);
  EXPECT_THAT(race.order(), ElementsAre(2, 0, 1));
  EXPECT_THAT(race.order(Family::kV6), ElementsAre(4));
  EXPECT_EQ(race.ranking.basis, Ranking::Basis::kFailure);
}

TEST(FailureModeLast, TheOneThatWasLastUpIsTheOnlyOne) {
  Race race;
  race.name.failure_mode = config::FailureMode::kLast;
  race.add("192.0.2.1", State::kDown).last_success = Instant(seconds(30));
  race.add("192.0.2.2", State::kDown).last_up = Instant(seconds(10));
  race.add("192.0.2.3", State::kDown).last_up = Instant(seconds(20));
  EXPECT_THAT(race.order(), ElementsAre(2));
  race.contenders[2].drained = true;
  EXPECT_THAT(race.order(), ElementsAre(1));
}

TEST(FailureModeLast, WhereNoneWasEverUpTheLastToSucceedElseTheFirst) {
  Race race;
  race.name.failure_mode = config::FailureMode::kLast;
  race.add("192.0.2.1", State::kDown);
  race.add("192.0.2.2", State::kDown);
  EXPECT_THAT(race.order(), ElementsAre(0));
  race.contenders[1].last_success = Instant(seconds(20));
  EXPECT_THAT(race.order(), ElementsAre(1));
}

TEST(FailureModes, OneUsableEndpointIsEnoughToLeaveThem) {
  Race race;
  for (int i = 0; i < 20; ++i) race.add("192.0.2." + std::to_string(i + 1), State::kDown);
  race.rank();
  EXPECT_EQ(race.ranking.basis, Ranking::Basis::kFailure);
  race.contenders[7].state = State::kUp;
  EXPECT_THAT(race.order(), ElementsAre(7));
}

}  // namespace
}  // namespace har::health
