// Keeps the history small: samples are thinned with age, samples and events are bounded in number.
// Thread: the store's thread.  Tested by: store_test.cc
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "store/sqlite.h"

namespace har::store {

// Samples older than `age` are thinned to the first of each outcome per endpoint and `bucket`: a rare failure among
// many successes stays visible.
struct ThinningLevel {
  std::chrono::seconds age, bucket;
};
inline constexpr std::array<ThinningLevel, 2> kLevels = {{
    {std::chrono::hours(1), std::chrono::minutes(1)},
    {std::chrono::hours(24), std::chrono::minutes(15)},
}};
inline constexpr std::chrono::hours kSamplesMaxAge{24 * 30};
// Whatever their age; the first written go first, so that a clock that was wrong once cannot keep its rows for ever.
// Some 40 and 20 MB on disk.
inline constexpr std::int64_t kMaxSamples = 300'000;
inline constexpr std::int64_t kMaxEvents = 100'000;

class Thinning {
 public:
  struct Bounds {
    std::int64_t samples = kMaxSamples;
    std::int64_t events = kMaxEvents;
  };
  Thinning() : Thinning(Bounds{}) {}
  explicit Thinning(Bounds bounds) : bounds_(bounds) {}

  // One bounded step (at most 6 hours of one level, or 20,000 rows), in a transaction of its own: state changes must
  // not wait behind it. True: nothing is left to do for now.
  Attempt<bool> step(Connection& connection, WallTime now);

 private:
  Bounds bounds_;
  std::array<std::int64_t, kLevels.size()> done_until_{};  // unix seconds; 0: not begun in this process
};

}  // namespace har::store
