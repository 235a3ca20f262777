// When each upstream is sent the loop query (loop_query.h). A search begins with a new set of upstreams, with new ways
// to them, and with an upstream that is alive again: another program may be behind its address. It ends with any reply.
// Until then the query may have been lost, or have come before who leads back to us was there: it is sent again, but
// only when a client's query goes to that upstream, for without these there is no loop to end, and a daemon at rest
// stays at rest; and after a pause that doubles, for there are upstreams that never answer such names.
// Plain data: no sockets, no clock.  Thread: one worker.  Tested by: loop_search_test.cc
#pragma once

#include <array>
#include <optional>
#include <span>

#include "base/time.h"
#include "upstream/places.h"

namespace har::forward {

inline constexpr Duration kLoopPause = std::chrono::seconds(1);  // after the first; and never less
inline constexpr Duration kMaxLoopPause = std::chrono::seconds(60);

class LoopSearch {
 public:
  // A new set: forgets everything, and begins with each.
  void set(std::span<const upstream::Place> order, Instant now);
  void begin(upstream::Place place, Instant now);      // one of the set
  void end(upstream::Place place);                     // it leads back to us
  void answered(upstream::Place place, Instant sent);  // a loop query sent then; one of an earlier search is ignored
  // A client's query goes to these.
  void forwarded_to(upstream::PlaceSet places, Instant now) {
    if ((places & open_ & ~wanted_) != 0) want(places & open_ & ~wanted_, now);
  }

  // Send one now; counts as done. Call it until it gives nothing whenever wake() has come.
  std::optional<upstream::Place> due(Instant now);
  Instant wake() const;  // kNever: not before the next event

 private:
  struct Search {
    Instant begun{};
    Instant sent{};  // the last
    Instant next{};  // not before that
    Duration pause = kLoopPause;
  };
  void want(upstream::PlaceSet places, Instant now);

  std::array<Search, upstream::kMaxPlaces> searches_{};
  upstream::PlaceSet open_ = 0;
  upstream::PlaceSet wanted_ = 0;  // of these: to be sent at their `next`
};

}  // namespace har::forward
