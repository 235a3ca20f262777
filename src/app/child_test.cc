#include "app/child.h"

#include <gtest/gtest.h>

namespace har::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RestartPace, StartsAgainAtOnceTenTimesThenDoublesToHalfASecond) {
  RestartPace pace;
  const Instant now{};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pace.died(now, now + milliseconds(10)), Duration{}) << i;
  std::vector<Duration> waits;
  for (int i = 0; i < 6; ++i) waits.push_back(pace.died(now, now + milliseconds(10)));
  EXPECT_EQ(waits, (std::vector<Duration>{milliseconds(50), milliseconds(100), milliseconds(200), milliseconds(400),
                                          milliseconds(500), milliseconds(500)}));
}

// With a reset after ten seconds only, the tenth of ten answerers killed two seconds apart was back after half a
// second.
TEST(RestartPace, OneThatLivesASecondIsAlwaysStartedAtOnce) {
  RestartPace pace;
  const Instant now{};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pace.died(now, now + seconds(1)), Duration{}) << i;
}

TEST(RestartPace, SecondsOfLifeAreSavedUpToTen) {
  RestartPace pace;
  const Instant now{};
  for (int i = 0; i < 15; ++i) pace.died(now, now);
  EXPECT_EQ(pace.died(now, now + seconds(3600)), Duration{});
  for (int i = 0; i < 9; ++i) EXPECT_EQ(pace.died(now, now), Duration{}) << i;
  EXPECT_EQ(pace.died(now, now), milliseconds(50));
}

}  // namespace
}  // namespace har::app
