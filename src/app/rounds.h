// How often everybody may be asked anew: ten times at once, and then one time every 10 s. A host whose links or routes
// change all day (containers, a routing daemon) must not ask everybody all day.  Tested by: ways_test.cc
#pragma once

#include <algorithm>

#include "base/time.h"

namespace har::app {

class Rounds {
 public:
  static constexpr int kAtOnce = 10;
  static constexpr Duration kEvery = std::chrono::seconds(10);

  bool take(Instant now) {
    // Each round spends kEvery of what has been saved up since.
    spent_ = std::max(spent_, now - kAtOnce * kEvery);
    if (next() > now) return false;
    spent_ += kEvery;
    return true;
  }
  Instant next() const { return spent_ + kEvery; }  // after a refusal: when the next one may be taken

 private:
  Instant spent_ = Instant::min();  // long ago, also just after boot, where the clock begins
};

}  // namespace har::app
