// Times as the tables have them: unix seconds.  Tested by: store_test.cc
#pragma once

#include <algorithm>
#include <cmath>

#include "base/time.h"

namespace har::store {

inline double seconds_of(WallTime time) { return static_cast<double>(time.time_since_epoch().count()) / 1e6; }

inline WallTime wall_time(double seconds) {
  // Years 1970 to some 2500; nonsense must not overflow.
  const double bounded = std::isfinite(seconds) ? std::clamp(seconds, 0.0, 1.7e10) : 0.0;
  return WallTime(std::chrono::microseconds(std::llround(bounded * 1e6)));
}

}  // namespace har::store
