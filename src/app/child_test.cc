#include "app/child.h"

#include <gtest/gtest.h>

namespace har::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RestartPace, StartsAgainAtOnceThenDoublesToHalfASecond) {
  RestartPace pace;
  Instant now{};
  std::vector<Duration> waits;
  for (int i = 0; i < 7; ++i) waits.push_back(pace.died(now, now + milliseconds(10)));
  EXPECT_EQ(waits, (std::vector<Duration>{milliseconds(0), milliseconds(50), milliseconds(100), milliseconds(200),
                                          milliseconds(400), milliseconds(500), milliseconds(500)}));
}

TEST(RestartPace, TenSecondsOfLifeForgetTheDeathsBefore) {
  RestartPace pace;
  const Instant now{};
  for (int i = 0; i < 5; ++i) pace.died(now, now);
  EXPECT_EQ(pace.died(now, now + seconds(10)), Duration{});
}

}  // namespace
}  // namespace har::app
