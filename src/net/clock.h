// The only place that reads the clocks.
#pragma once

#include <time.h>

#include <chrono>

#include "base/time.h"

namespace har::net {

inline Instant now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }
// Goes on while the machine sleeps.
inline Instant boot_now() {
  timespec at{};
  clock_gettime(CLOCK_BOOTTIME, &at);
  return Instant(std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec));
}
inline WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

}  // namespace har::net
