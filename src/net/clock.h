// The only place that reads the clocks.
#pragma once

#include <chrono>

#include "base/time.h"

namespace har::net {

inline Instant now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }
inline WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

}  // namespace har::net
