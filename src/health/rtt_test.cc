#include "health/rtt.h"

#include <gtest/gtest.h>

namespace har::health {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(RttAverage, IsUnknownAtFirst) {
  RttAverage rtt;
  EXPECT_EQ(rtt.value(), Duration::zero());
  EXPECT_EQ(rtt.measurements(), 0U);
}

TEST(RttAverage, TheFirstMeasurementStandsForItself) {
  RttAverage rtt;
  rtt.add(milliseconds(8));
  EXPECT_EQ(rtt.value(), milliseconds(8));
}

TEST(RttAverage, TheNewestHasAQuarterOfTheWeight) {
  RttAverage rtt;
  rtt.add(milliseconds(8));
  rtt.add(milliseconds(4));
  EXPECT_EQ(rtt.value(), milliseconds(7));
  rtt.add(milliseconds(11));
  EXPECT_EQ(rtt.value(), milliseconds(8));
}

TEST(RttAverage, NoConnectionIsNoMeasurement) {
  RttAverage rtt;
  rtt.add(milliseconds(8));
  rtt.add(Duration::zero());
  EXPECT_EQ(rtt.value(), milliseconds(8));
  EXPECT_EQ(rtt.measurements(), 1U);
}

TEST(RttAverage, FiveAreEnough) {
  RttAverage rtt;
  for (std::uint32_t i = 1; i <= 9; ++i) {
    rtt.add(microseconds(10));
    EXPECT_EQ(rtt.measurements(), std::min(i, kEnoughMeasurements));
  }
}

TEST(RttAverage, ARestoredOneCountsAsMeasured) {
  RttAverage rtt;
  rtt.restore(milliseconds(8));
  EXPECT_EQ(rtt.measurements(), kEnoughMeasurements);
  rtt.add(milliseconds(4));
  EXPECT_EQ(rtt.value(), milliseconds(7));
}

TEST(RttAverage, AHintIsReplacedByTheNextMeasurement) {
  RttAverage rtt;
  rtt.restore(milliseconds(8));
  rtt.forget_measurements();
  EXPECT_EQ(rtt.value(), milliseconds(8));
  rtt.add(milliseconds(4));
  EXPECT_EQ(rtt.value(), milliseconds(4));
}

}  // namespace
}  // namespace har::health
