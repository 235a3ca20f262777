#include "upstream/choice.h"

#include <gtest/gtest.h>

namespace har::upstream {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTry = seconds(1);
const Instant kStart = Instant(seconds(1000));

struct ChoiceTest : testing::Test {
  Choice choice;
  void use(std::initializer_list<Place> order, Instant now = kStart) {
    choice.set(std::span(order.begin(), order.size()), now);
  }
};

TEST_F(ChoiceTest, TheFirstOfTheSetIsTheBestUntilSomethingIsMeasured) {
  use({4, 2, 7});
  EXPECT_EQ(choice.best_of(choice.alive(kStart)), 4);
  EXPECT_EQ(choice.best_of(only(2) | only(7)), 2);
  EXPECT_EQ(choice.srtt(4), std::nullopt);
}

TEST_F(ChoiceTest, TheFastestMeasuredIsTheBestAndUnmeasuredOnesStandBehind) {
  use({0, 1, 2});
  choice.answered(1, milliseconds(30), kStart);
  EXPECT_EQ(choice.best_of(choice.all()), 1);
  choice.answered(2, milliseconds(10), kStart);
  EXPECT_EQ(choice.best_of(choice.all()), 2);
  EXPECT_EQ(choice.best_of(only(0) | only(1)), 1);
}

TEST_F(ChoiceTest, PatienceIsAHundredMillisecondsAtFirstContactThenFollowsTheReplies) {
  use({0});
  EXPECT_EQ(choice.patience(0), milliseconds(100));
  choice.answered(0, milliseconds(40), kStart);  // srtt 40, rttvar 20
  EXPECT_EQ(choice.patience(0), milliseconds(120));
  choice.answered(0, milliseconds(48), kStart);  // rttvar 20 - (20 - 8)/4 = 17, srtt 41
  EXPECT_EQ(choice.srtt(0), milliseconds(41));
  EXPECT_EQ(choice.patience(0), milliseconds(41 + 4 * 17));
}

TEST_F(ChoiceTest, PatienceHasALowerAndAnUpperLimit) {
  use({0, 1});
  choice.answered(0, microseconds(200), kStart);
  EXPECT_EQ(choice.patience(0), milliseconds(20));
  choice.answered(1, milliseconds(900), kStart);
  EXPECT_EQ(choice.patience(1), milliseconds(300));
}

TEST_F(ChoiceTest, ThreeUnansweredInARowMakeAnUpstreamDead) {
  use({0, 1});
  choice.sent(0, kTry, kStart);
  choice.sent(0, kTry, kStart + milliseconds(10));
  EXPECT_EQ(choice.alive(kStart + seconds(60)), only(0) | only(1));  // two are not enough, however long
  choice.sent(0, kTry, kStart + seconds(60));
  EXPECT_EQ(choice.alive(kStart + seconds(61) - milliseconds(1)), only(0) | only(1));
  EXPECT_EQ(choice.alive(kStart + seconds(61)), only(1));
}

TEST_F(ChoiceTest, NothingMustHaveComeForASecondHoweverShortATryIs) {
  use({0});
  for (int i = 0; i < 3; ++i) choice.sent(0, milliseconds(100), kStart);
  EXPECT_EQ(choice.wake(), kStart);  // looked at once after a new set
  EXPECT_NE(choice.alive(kStart + milliseconds(999)), 0U);
  EXPECT_EQ(choice.wake(), kStart + seconds(1));
  EXPECT_EQ(choice.alive(kStart + seconds(1)), 0U);
}

TEST_F(ChoiceTest, AnyReplyBreaksTheRow) {
  use({0});
  for (int i = 0; i < 3; ++i) choice.sent(0, kTry, kStart);
  choice.answered(0, milliseconds(999), kStart + milliseconds(999));
  EXPECT_EQ(choice.alive(kStart + seconds(50)), only(0));
  choice.sent(0, kTry, kStart + seconds(60));
  choice.sent(0, kTry, kStart + seconds(60));
  EXPECT_EQ(choice.alive(kStart + seconds(70)), only(0));
}

TEST_F(ChoiceTest, AHandshakeBreaksTheRowAndMeasuresNothing) {
  use({0});
  for (int i = 0; i < 3; ++i) choice.sent(0, kTry, kStart);
  choice.heard(0);
  EXPECT_EQ(choice.alive(kStart + seconds(50)), only(0));
  EXPECT_EQ(choice.srtt(0), std::nullopt);
  choice.refused(0, kStart, kTry, kStart + seconds(50));  // what was sent before it does not count any more
  choice.sent(0, kTry, kStart + seconds(60));
  choice.sent(0, kTry, kStart + seconds(60));
  EXPECT_EQ(choice.alive(kStart + seconds(70)), only(0));
}

TEST_F(ChoiceTest, AHandshakeMakesNoDeadOneAlive) {
  use({0, 1});
  for (int i = 0; i < 3; ++i) choice.sent(0, kTry, kStart);
  const Instant death = kStart + seconds(1);
  ASSERT_EQ(choice.alive(death), only(1));
  choice.heard(0);
  EXPECT_EQ(choice.alive(death), only(1));
  EXPECT_EQ(choice.probe_due(death), 0);
  choice.answered(0, milliseconds(5), death);
  EXPECT_EQ(choice.alive(death), only(0) | only(1));
}

TEST_F(ChoiceTest, RefusalsCountAtOnceButASecondOfNothingIsNeededStill) {
  use({0});
  for (int i = 0; i < 3; ++i) {
    const Instant at = kStart + milliseconds(300 * i);
    choice.sent(0, seconds(5), at);
    choice.refused(0, at, seconds(5), at);
  }
  EXPECT_NE(choice.alive(kStart + milliseconds(999)), 0U);
  EXPECT_EQ(choice.alive(kStart + seconds(1)), 0U);  // a silent one would have lasted to 5.6 s
}

TEST_F(ChoiceTest, ADeadOneIsProbedAtOnceThenEverySecondUntilItAnswers) {
  use({0, 1});
  for (int i = 0; i < 3; ++i) choice.sent(0, kTry, kStart);
  const Instant death = kStart + seconds(1);
  EXPECT_EQ(choice.probe_due(death - milliseconds(1)), std::nullopt);
  EXPECT_EQ(choice.probe_due(death), 0);
  EXPECT_EQ(choice.probe_due(death), std::nullopt);
  EXPECT_EQ(choice.probe_due(death + milliseconds(999)), std::nullopt);
  EXPECT_EQ(choice.probe_due(death + seconds(1)), 0);
  const auto change = choice.next_change(death + seconds(1));
  ASSERT_TRUE(change);
  EXPECT_EQ(choice.wake(), death + seconds(2));
  choice.answered(0, milliseconds(5), death + milliseconds(1005));
  EXPECT_EQ(choice.alive(death + milliseconds(1005)), only(0) | only(1));
  EXPECT_EQ(choice.probe_due(death + seconds(10)), std::nullopt);
}

TEST_F(ChoiceTest, EachChangeOfHealthIsToldOnce) {
  use({0, 1});
  EXPECT_FALSE(choice.next_change(kStart));
  for (int i = 0; i < 3; ++i) choice.sent(1, kTry, kStart);
  auto change = choice.next_change(kStart + seconds(1));
  ASSERT_TRUE(change);
  EXPECT_EQ(change->place, 1);
  EXPECT_FALSE(change->alive);
  EXPECT_FALSE(choice.next_change(kStart + seconds(2)));
  choice.answered(1, milliseconds(5), kStart + seconds(3));
  change = choice.next_change(kStart + seconds(3));
  ASSERT_TRUE(change);
  EXPECT_TRUE(change->alive);
  EXPECT_FALSE(choice.next_change(kStart + seconds(3)));
}

TEST_F(ChoiceTest, TheFirstReplyAfterADeathStartsTheAveragesAnew) {
  use({0});
  choice.answered(0, milliseconds(200), kStart);
  for (int i = 0; i < 3; ++i) choice.sent(0, kTry, kStart);
  EXPECT_EQ(choice.alive(kStart + seconds(1)), 0U);
  choice.answered(0, milliseconds(2), kStart + seconds(2));
  EXPECT_EQ(choice.srtt(0), milliseconds(2));
}

TEST_F(ChoiceTest, ANewSetKeepsTheFiguresOfThoseThatStayAndForgetsTheOthers) {
  use({0, 1});
  choice.answered(0, milliseconds(10), kStart);
  for (int i = 0; i < 3; ++i) choice.sent(1, kTry, kStart);
  EXPECT_EQ(choice.alive(kStart + seconds(1)), only(0));
  use({1, 0, 2}, kStart + seconds(1));
  EXPECT_EQ(choice.alive(kStart + seconds(1)), only(0) | only(2));
  EXPECT_EQ(choice.srtt(0), milliseconds(10));
  use({1, 2}, kStart + seconds(1));
  use({1, 2, 0}, kStart + seconds(1));
  EXPECT_EQ(choice.srtt(0), std::nullopt);
}

TEST_F(ChoiceTest, AnExcludedOneIsNeitherAskedNorProbedUntilTheNextSet) {
  use({0, 1});
  for (int i = 0; i < 3; ++i) choice.sent(0, kTry, kStart);
  choice.exclude(0);
  EXPECT_EQ(choice.all(), only(1));
  EXPECT_EQ(choice.probe_due(kStart + seconds(5)), std::nullopt);
  EXPECT_FALSE(choice.next_change(kStart + seconds(5)));
  choice.answered(0, milliseconds(1), kStart + seconds(5));
  EXPECT_EQ(choice.alive(kStart + seconds(5)), only(1));
  use({0, 1}, kStart + seconds(6));
  EXPECT_EQ(choice.all(), only(0) | only(1));
}

TEST_F(ChoiceTest, OneThatWasExcludedAndComesBackCanDie) {
  use({0, 1});
  for (int i = 0; i < 3; ++i) choice.sent(0, kTry, kStart);
  choice.exclude(0);
  use({0, 1}, kStart + seconds(1));
  for (int i = 0; i < 3; ++i) choice.sent(0, kTry, kStart + seconds(1));
  EXPECT_EQ(choice.alive(kStart + seconds(1) + kTry + seconds(1)), only(1));
}

TEST_F(ChoiceTest, OneThatWasNotHeardOfForTenSecondsIsToBeExploredOnceInTenSeconds) {
  use({0, 1, 2});
  choice.answered(0, milliseconds(10), kStart);
  EXPECT_EQ(choice.explore(kStart + milliseconds(9'999)), std::nullopt);
  choice.answered(0, milliseconds(10), kStart + seconds(9));
  EXPECT_EQ(choice.explore(kStart + seconds(10)), 1);
  EXPECT_EQ(choice.explore(kStart + seconds(10)), 2);
  EXPECT_EQ(choice.explore(kStart + seconds(10)), std::nullopt);
  EXPECT_EQ(choice.explore(kStart + seconds(18)), std::nullopt);
  EXPECT_EQ(choice.explore(kStart + seconds(19)), 0);
  choice.answered(1, milliseconds(1), kStart + seconds(19));
  EXPECT_EQ(choice.explore(kStart + seconds(20)), 2);  // 1 was heard of meanwhile
  EXPECT_EQ(choice.explore(kStart + seconds(20)), std::nullopt);
}

TEST_F(ChoiceTest, WhatHappensOutsideTheSetIsIgnored) {
  use({0});
  choice.sent(9, kTry, kStart);
  choice.answered(9, milliseconds(1), kStart);
  choice.refused(9, kStart, kTry, kStart);
  EXPECT_EQ(choice.all(), only(0));
  EXPECT_EQ(choice.srtt(9), std::nullopt);
}

}  // namespace
}  // namespace har::upstream
