// Tells a step of the wall clock from its flow, or a sleep of the machine, which is a step of the clock that does not
// sleep against the one that does. Thread: one owner.  Tested by: store_test.cc
#pragma once

#include <chrono>
#include <optional>

#include "base/time.h"

namespace har::store {

class ClockStep {
 public:
  // How far the wall clock was stepped since the look before; zero: not. `now` and `wall` are one moment, `now` by
  // always the same clock.
  Duration look(Instant now, WallTime wall) {
    const Duration base = std::chrono::duration_cast<Duration>(wall.time_since_epoch()) - now.time_since_epoch();
    const Duration step = base - base_.value_or(base);
    base_ = base;
    return std::chrono::abs(step) < kLeast ? Duration::zero() : step;
  }

 private:
  static constexpr Duration kLeast = std::chrono::minutes(1);
  std::optional<Duration> base_;
};

}  // namespace har::store
