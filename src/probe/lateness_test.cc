#include "probe/lateness.h"

#include <gtest/gtest.h>

namespace har::probe {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Instant at(int ms) { return Instant(std::chrono::hours(1)) + milliseconds(ms); }

TEST(Lateness, ALoopInTimeIsNeverLate) {
  Lateness l;
  l.start(at(0));
  for (int ms = 10; ms < 1'000; ms += 11) l.tick(at(ms));
  EXPECT_FALSE(l.was_late(at(0), at(1'010)));
  EXPECT_EQ(l.lost(at(1'010)), Duration::zero());
}

TEST(Lateness, AStallCountsForProbesThatWereUnderWayAndNotForLaterOnes) {
  Lateness l;
  l.start(at(0));
  const Duration before = l.lost(at(10));
  l.tick(at(200));  // 190 ms late
  const Duration after = l.lost(at(210));
  l.tick(at(225));
  EXPECT_EQ(l.lost(at(230)) - before, milliseconds(200));  // it may have begun at 0
  EXPECT_EQ(l.lost(at(230)) - after, Duration::zero());
  EXPECT_TRUE(l.was_late(at(190), at(230)));
  EXPECT_FALSE(l.was_late(at(210), at(230)));
}

TEST(Lateness, AStallCountsOnceWhoeverAsksFirst) {
  Lateness l;
  l.start(at(0));
  EXPECT_EQ(l.lost(at(150)), milliseconds(150));
  EXPECT_EQ(l.lost(at(151)), milliseconds(150));
  l.tick(at(152));
  EXPECT_EQ(l.lost(at(160)), milliseconds(150));
  l.tick(at(300));  // 138 ms late
  EXPECT_EQ(l.lost(at(300)), milliseconds(298));
}

TEST(Lateness, AnOverdueTickSpeaksBeforeItsTurn) {
  Lateness l;
  l.start(at(0));
  EXPECT_EQ(l.lost(at(110)), Duration::zero());
  EXPECT_EQ(l.lost(at(111)), milliseconds(111));
}

TEST(Lateness, RttsAreMoreDelicateThanTimeouts) {
  Lateness l;
  l.start(at(0));
  l.tick(at(60));  // 50 ms late
  EXPECT_TRUE(l.was_late(at(10), at(61)));
  EXPECT_EQ(l.lost(at(61)), Duration::zero());
}

// A plain check beside the first https check had the reading of the CA certificates in its average.
TEST(Lateness, AStallOfFortyMillisecondsRightAfterATickIsFound) {
  Lateness l;
  l.start(at(0));
  EXPECT_TRUE(l.was_late(at(0), at(40)));
}

TEST(Lateness, WhoDoesNotTickIsNotLate) {
  Lateness l;
  l.start(at(0));
  l.stop();
  EXPECT_FALSE(l.was_late(at(0), at(10'000)));
  EXPECT_EQ(l.lost(at(10'000)), Duration::zero());
}

TEST(Patience, IsAsMuchLongerAsTheLoopStoodStillMeanwhile) {
  const Patience p(seconds(1), milliseconds(300));
  EXPECT_EQ(p.lasts(milliseconds(300)), seconds(1));
  EXPECT_EQ(p.lasts(milliseconds(475)), milliseconds(1'175));
  EXPECT_EQ(p.lasts(milliseconds(600)), milliseconds(1'300)) << "a later stall counts as well";
}

TEST(Patience, EndsWhereMoreWasLostThanHalfASecondOrTheTimeout) {
  const Patience p(seconds(1), {});
  EXPECT_FALSE(p.is_spoilt(milliseconds(500)));
  EXPECT_EQ(p.lasts(milliseconds(500)), milliseconds(1'500));
  EXPECT_TRUE(p.is_spoilt(milliseconds(501)));
  EXPECT_EQ(p.lasts(milliseconds(501)), seconds(1));
  const Patience quick(milliseconds(200), {});
  EXPECT_EQ(quick.lasts(milliseconds(200)), milliseconds(400));
  EXPECT_TRUE(quick.is_spoilt(milliseconds(201)));
}

// It asks in the loop's turn that ends the stall, before the tick does.
TEST(Patience, OfAProbeThatBeginsRightAfterAStallIsItsTimeout) {
  Lateness l;
  l.start(at(0));
  const Patience before(seconds(1), l.lost(at(10)));
  const Patience after(seconds(1), l.lost(at(200)));
  l.tick(at(201));
  EXPECT_EQ(before.lasts(l.lost(at(202))), milliseconds(1'200));
  EXPECT_EQ(after.lasts(l.lost(at(202))), seconds(1));
}

}  // namespace
}  // namespace har::probe
