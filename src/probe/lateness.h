// How long our own event loop stood still lately: what it could not have noticed in time must not count against others,
// and must not keep a silent endpoint alive either.
// Takes the time as an argument; the owner ticks while probes are under way.
// Thread: the control thread.  Tested by: lateness_test.cc, schedule_test.cc
#pragma once

#include <algorithm>

#include "base/time.h"

namespace har::probe {

class Lateness {
 public:
  // A stall of this and kForRtt together may pass for the endpoint's time: shorter than it takes to read a bundle of CA
  // certificates, which is what the first https check of all does.
  static constexpr Duration kTick = std::chrono::milliseconds(10);
  // A tick later than this is a stall, whose time is lost.
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
  //
  // The sum of all stalls so far: what a probe has lost is the difference since its begin.
  Duration lost(Instant now) {
    note(now);
    return lost_;
  }
  // By more than kForRtt.
  bool was_late(Instant since, Instant now) {
    note(now);
    return late_ >= since;
  }

 private:
  void note(Instant now) {
    if (due_ == kNever) return;
    const Duration by = now - due_;
    if (by > kForRtt) late_ = now;
    if (by <= kForTimeouts) return;
    // It may have begun as early as the tick before: rather a little too much than too little. The tick that is still
    // to come does not count it again.
    lost_ += by + kTick;
    due_ = now + kTick;
  }

  Instant due_ = kNever;
  Instant late_ = Instant::min();  // when the loop was last found late
  Duration lost_{};
};

// How long one probe is waited for: its timeout, and what the loop lost meanwhile, so that a stall costs a verdict as
// long as the stall, whatever number of probes it meets. Where the loop lost more than that may be, the probe is
// spoilt: that it has no outcome says nothing of the endpoint.
class Patience {
 public:
  static constexpr Duration kMost = std::chrono::milliseconds(500);  // and no more than the timeout

  Patience() = default;
  Patience(Duration timeout, Duration lost) : timeout_(timeout), lost_before_(lost) {}  // `lost`: at the probe's begin

  Duration lost_of(Duration lost) const { return lost - lost_before_; }
  bool is_spoilt(Duration lost) const { return lost_of(lost) > std::min(timeout_, kMost); }
  // From the probe's begin; to be asked again when that has come.
  Duration lasts(Duration lost) const { return is_spoilt(lost) ? timeout_ : timeout_ + lost_of(lost); }

 private:
  Duration timeout_{};
  Duration lost_before_{};
};

}  // namespace har::probe
