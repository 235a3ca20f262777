#include "probe/lateness.h"

#include <gtest/gtest.h>

namespace har::probe {
namespace {

using std::chrono::milliseconds;
constexpr Duration kForTimeouts = Lateness::kForTimeouts;
constexpr Duration kForRtt = Lateness::kForRtt;
Instant at(int ms) { return Instant(std::chrono::hours(1)) + milliseconds(ms); }

TEST(Lateness, ALoopInTimeIsNeverLate) {
  Lateness l;
  l.start(at(0));
  for (int ms = 25; ms < 1'000; ms += 26) l.tick(at(ms));
  EXPECT_FALSE(l.was_late(at(0), kForRtt, at(1'010)));
}

TEST(Lateness, AStallCountsForProbesThatWereUnderWayAndNotForLaterOnes) {
  Lateness l;
  l.start(at(0));
  l.tick(at(200));  // 175 ms late
  l.tick(at(225));
  EXPECT_TRUE(l.was_late(at(-500), kForTimeouts, at(230)));
  EXPECT_TRUE(l.was_late(at(190), kForTimeouts, at(230)));
  EXPECT_FALSE(l.was_late(at(210), kForTimeouts, at(230)));
  EXPECT_FALSE(l.was_late(at(210), kForRtt, at(230)));
}

TEST(Lateness, AnOverdueTickSpeaksBeforeItsTurn) {
  Lateness l;
  l.start(at(0));
  EXPECT_FALSE(l.was_late(at(0), kForTimeouts, at(125)));
  EXPECT_TRUE(l.was_late(at(0), kForTimeouts, at(126)));
}

TEST(Lateness, RttsAreMoreDelicateThanTimeouts) {
  Lateness l;
  l.start(at(0));
  l.tick(at(60));  // 35 ms late
  EXPECT_TRUE(l.was_late(at(10), kForRtt, at(61)));
  EXPECT_FALSE(l.was_late(at(10), kForTimeouts, at(61)));
}

TEST(Lateness, WhoDoesNotTickIsNotLate) {
  Lateness l;
  l.start(at(0));
  l.stop();
  EXPECT_FALSE(l.was_late(at(0), kForRtt, at(10'000)));
}

}  // namespace
}  // namespace har::probe
