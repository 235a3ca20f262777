#include "upstream/choice.h"

#include <algorithm>

#include "base/assert.h"

namespace har::upstream {

void Choice::set(std::span<const Place> order, Instant now) {
  HAR_ASSERT(order.size() <= kMaxUpstreams);
  PlaceSet present = 0;
  for (const Place place : order) {
    present |= only(place);
    if ((present_ & only(place)) == 0) {
      states_[place] = State{};
      states_[place].explore_at = now + kExploreInterval;
    }
  }
  std::copy(order.begin(), order.end(), order_.begin());
  count_ = order.size();
  present_ = present;
  all_ = present;
  dead_ &= present;
  told_dead_ &= present;
  next_death_ = now;  // looked at once, then reckoned anew
  next_explore_ = now;
}

void Choice::exclude(Place place) {
  all_ &= ~only(place);
  dead_ &= ~only(place);
  told_dead_ &= ~only(place);
  states_[place].dies_at = kNever;
  states_[place].unanswered = 0;  // with three of them it would never be judged again
}

void Choice::sent(Place place, Duration try_timeout, Instant now) {
  if ((all_ & only(place)) == 0) return;
  State& state = states_[place];
  if (state.unanswered == kDeathCount) return;  // three are enough to judge by
  if (state.unanswered == 0) state.first_sent = now;
  state.due[state.unanswered++] = now + try_timeout;
  reckon_death(place);
}

void Choice::answered(Place place, Duration rtt, Instant now) {
  if ((all_ & only(place)) == 0) return;
  State& state = states_[place];
  rtt = std::max(rtt, Duration(1));
  const bool was_dead = (dead_ & only(place)) != 0;
  if (!state.measured || was_dead) {
    // After a death the network may be another one: the old figures say nothing.
    state.srtt = rtt;
    state.rttvar = rtt / 2;
    state.measured = true;
  } else {
    const Duration error = rtt > state.srtt ? rtt - state.srtt : state.srtt - rtt;
    state.rttvar += (error - state.rttvar) / 4;
    state.srtt += (rtt - state.srtt) / 8;
  }
  state.unanswered = 0;
  state.dies_at = kNever;
  state.probe_at = kNever;
  state.explore_at = now + kExploreInterval;
  dead_ &= ~only(place);
}

void Choice::refused(Place place, Instant sent_at, Duration try_timeout, Instant now) {
  if ((all_ & only(place)) == 0) return;
  State& state = states_[place];
  const auto end = state.due.begin() + state.unanswered;
  const auto due = std::find(state.due.begin(), end, sent_at + try_timeout);
  if (due == end) return;  // sent before the last reply, or the fourth and later: not counted
  *due = std::min(*due, now);
  reckon_death(place);
}

void Choice::heard(Place place) {
  if ((all_ & ~dead_ & only(place)) == 0) return;
  State& state = states_[place];
  state.unanswered = 0;
  state.dies_at = kNever;
}

void Choice::reckon_death(Place place) {
  State& state = states_[place];
  if (state.unanswered < kDeathCount || (dead_ & only(place)) != 0) return;
  state.dies_at = std::max(*std::max_element(state.due.begin(), state.due.end()), state.first_sent + kDeathSilence);
  next_death_ = std::min(next_death_, state.dies_at);
}

void Choice::bury_the_dead(Instant now) {
  if (now < next_death_) return;
  next_death_ = kNever;
  for (const Place place : std::span(order_.data(), count_)) {
    State& state = states_[place];
    if (state.dies_at > now) {
      next_death_ = std::min(next_death_, state.dies_at);
      continue;
    }
    dead_ |= only(place);
    state.dies_at = kNever;
    state.probe_at = now;
  }
}

PlaceSet Choice::alive(Instant now) {
  bury_the_dead(now);
  return all_ & ~dead_;
}

Place Choice::best_of(PlaceSet among) const {
  std::optional<Place> best;
  for (const Place place : std::span(order_.data(), count_)) {
    if ((among & only(place)) == 0) continue;
    const State& state = states_[place];
    if (!best || (state.measured && (!states_[*best].measured || state.srtt < states_[*best].srtt))) best = place;
  }
  HAR_ASSERT(best);
  return *best;
}

Duration Choice::patience(Place place) const {
  const State& state = states_[place];
  if (!state.measured) return kFirstPatience;
  return std::clamp(state.srtt + 4 * state.rttvar, kMinPatience, kMaxPatience);
}

std::optional<Duration> Choice::srtt(Place place) const {
  if (!states_[place].measured) return std::nullopt;
  return states_[place].srtt;
}

std::optional<Place> Choice::explore(Instant now) {
  if (now < next_explore_) return std::nullopt;
  next_explore_ = kNever;
  std::optional<Place> found;
  for (const Place place : std::span(order_.data(), count_)) {
    if ((all_ & ~dead_ & only(place)) == 0) continue;
    State& state = states_[place];
    if (!found && state.explore_at <= now) {
      found = place;
      state.explore_at = now + kExploreInterval;
    }
    next_explore_ = std::min(next_explore_, state.explore_at);
  }
  // One that comes alive meanwhile has had its measurement by that, but the bound must know of it.
  next_explore_ = std::min(next_explore_, now + kExploreInterval);
  return found;
}

std::optional<Choice::Change> Choice::next_change(Instant now) {
  bury_the_dead(now);
  const PlaceSet differs = dead_ ^ told_dead_;
  if (differs == 0) return std::nullopt;
  const auto place = static_cast<Place>(std::countr_zero(differs));
  told_dead_ ^= only(place);
  return Change{place, (dead_ & only(place)) == 0};
}

std::optional<Place> Choice::probe_due(Instant now) {
  bury_the_dead(now);
  if (dead_ == 0) return std::nullopt;
  for (const Place place : std::span(order_.data(), count_)) {
    if ((dead_ & only(place)) == 0 || states_[place].probe_at > now) continue;
    states_[place].probe_at = now + kProbeInterval;
    return place;
  }
  return std::nullopt;
}

Instant Choice::wake() const {
  Instant wake = next_death_;
  if (dead_ != told_dead_) return Instant{};
  for (const Place place : std::span(order_.data(), count_)) {
    if ((dead_ & only(place)) != 0) wake = std::min(wake, states_[place].probe_at);
  }
  return wake;
}

}  // namespace har::upstream
