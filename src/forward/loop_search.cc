#include "forward/loop_search.h"

#include <algorithm>
#include <bit>

namespace har::forward {

using upstream::only;
using upstream::Place;
using upstream::PlaceSet;

void LoopSearch::set(std::span<const Place> order, Instant now) {
  open_ = wanted_ = 0;
  for (const Place place : order) {
    searches_[place] = Search{};
    begin(place, now);
  }
}

void LoopSearch::begin(Place place, Instant now) {
  Search& search = searches_[place];
  search.begun = now;
  search.next = std::max(now, search.sent + kLoopPause);
  search.pause = kLoopPause;
  open_ |= only(place);
  wanted_ |= only(place);
}

void LoopSearch::end(Place place) {
  open_ &= ~only(place);
  wanted_ &= ~only(place);
}

void LoopSearch::answered(Place place, Instant sent) {
  if (sent >= searches_[place].begun) end(place);
}

void LoopSearch::want(PlaceSet places, Instant now) {
  for (; places != 0; places &= places - 1) {
    const auto place = static_cast<Place>(std::countr_zero(places));
    if (searches_[place].next <= now) wanted_ |= only(place);
  }
}

std::optional<Place> LoopSearch::due(Instant now) {
  for (PlaceSet rest = wanted_; rest != 0; rest &= rest - 1) {
    const auto place = static_cast<Place>(std::countr_zero(rest));
    Search& search = searches_[place];
    if (search.next > now) continue;
    wanted_ &= ~only(place);
    search.sent = now;
    search.next = now + search.pause;
    search.pause = std::min(2 * search.pause, kMaxLoopPause);
    return place;
  }
  return std::nullopt;
}

Instant LoopSearch::wake() const {
  Instant wake = kNever;
  for (PlaceSet rest = wanted_; rest != 0; rest &= rest - 1) {
    wake = std::min(wake, searches_[static_cast<Place>(std::countr_zero(rest))].next);
  }
  return wake;
}

}  // namespace har::forward
