// How late our own event loop has been lately: what it could not have noticed in time must not count against others.
// Takes the time as an argument; the owner ticks while probes are under way.
// Thread: the control thread.  Tested by: lateness_test.cc
#pragma once

#include <algorithm>
#include <array>

#include "base/time.h"

namespace har::probe {

class Lateness {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(25);
  // Later than this during a probe: its timeout is no observation.
  static constexpr Duration kForTimeouts = std::chrono::milliseconds(100);
  // Later than this during a probe: its total time is not used. Stricter, for it would be taken as the endpoint's.
  static constexpr Duration kForRtt = std::chrono::milliseconds(20);

  void start(Instant now) { due_ = now + kTick; }  // the ticking begins (again)
  void stop() { due_ = kNever; }
  bool is_ticking() const { return due_ != kNever; }

  // The tick came. Its next time is kTick from now.
  void tick(Instant now) {
    note(now);
    due_ = now + kTick;
  }
  // A tick that is overdue at this moment says as much as one that came late: whatever the loop serves first after a
  // stall may ask before the tick has its turn.
  bool was_late(Instant since, Duration more_than, Instant now) {
    note(now);
    return (more_than >= kForTimeouts ? very_late_ : late_) >= since;
  }

 private:
  void note(Instant now) {
    if (due_ == kNever) return;
    const Duration by = now - due_;
    if (by > kForRtt) late_ = now;
    if (by > kForTimeouts) very_late_ = now;
  }

  Instant due_ = kNever;
  Instant late_ = Instant::min();  // when the loop was last found so late
  Instant very_late_ = Instant::min();
};

}  // namespace har::probe
