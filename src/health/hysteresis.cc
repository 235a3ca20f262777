#include "health/hysteresis.h"

#include <algorithm>

namespace har::health {
namespace {

constexpr Duration kFlapWindow = std::chrono::minutes(10);
constexpr std::uint32_t kMaxFactor = 32;
constexpr std::size_t kFallsThatCount = 6;  // 2^5 = 32

// The configuration refuses zeros; a threshold of zero would otherwise mean a change without evidence.
std::uint32_t at_least_one(std::uint32_t n) { return std::max<std::uint32_t>(n, 1); }

}  // namespace

bool Hysteresis::observe(bool ok, Instant started, Instant now, bool plain_rise) {
  if (changed_at_ && started < *changed_at_) return false;

  if (state_ == State::kUnknown || provisional_) {
    provisional_ = false;
    const State decided = ok ? State::kUp : State::kDown;
    if (decided != state_) {
      change(decided, now, {Cause::Kind::kFirst, 1});
      return true;
    }
  }

  if (ok) {
    failures_in_a_row_ = 0;
    if (successes_ < UINT32_MAX) ++successes_;
  } else {
    successes_ = 0;
    ++failures_in_a_row_;
  }

  if (state_ == State::kUp) {
    if (ok) {
      if (successes_ >= at_least_one(thresholds_.ok_reset)) failures_ = 0;
      return false;
    }
    ++failures_;
    if (failures_ < at_least_one(thresholds_.fall)) return false;
    const bool in_a_row = failures_in_a_row_ >= failures_;
    change(State::kDown, now, {in_a_row ? Cause::Kind::kStreak : Cause::Kind::kFailures, failures_});
    return true;
  }

  if (!ok) return false;
  if (successes_ >= rise_needed(now)) {
    change(State::kUp, now, {Cause::Kind::kStreak, successes_});
    return true;
  }
  return plain_rise && settle(now);
}

bool Hysteresis::settle(Instant now) {
  if (state_ != State::kDown || successes_ < at_least_one(thresholds_.rise)) return false;
  change(State::kUp, now, {Cause::Kind::kNothingElseUp, successes_});
  return true;
}

void Hysteresis::restore(State state, Instant now) {
  if (state == State::kUnknown) return;
  state_ = state;
  changed_at_ = now;
}

void Hysteresis::carry(State state, Instant now) {
  restore(state, now);
  provisional_ = state != State::kUnknown;
}

void Hysteresis::adopt(const Hysteresis& other) {
  const config::Thresholds own = thresholds_;
  *this = other;
  thresholds_ = own;
  successes_ = failures_ = failures_in_a_row_ = 0;
}

std::optional<Instant> Hysteresis::left_up_at() const {
  return falls_.empty() ? std::nullopt : std::optional(falls_.back());
}

std::uint64_t Hysteresis::rise_needed(Instant now) const {
  const std::uint64_t rise = at_least_one(thresholds_.rise);
  if (falls_.empty() || now - falls_.back() > kFlapWindow) return rise;
  return rise * factor_;
}

void Hysteresis::change(State to, Instant now, Cause cause) {
  if (state_ == State::kUp) {
    if (falls_.size() == kFallsThatCount) falls_.erase(falls_.begin());
    falls_.push_back(now);
    const auto recent =
        std::count_if(falls_.begin(), falls_.end(), [&](Instant fall) { return now - fall <= kFlapWindow; });
    factor_ = std::min(kMaxFactor, 1U << (std::max<std::ptrdiff_t>(recent, 1) - 1));  // this one at least is recent
  }
  state_ = to;
  changed_at_ = now;
  successes_ = failures_ = failures_in_a_row_ = 0;
  // The observation that decided is a success or failure like others: it is the first of the new state.
  if (cause.kind == Cause::Kind::kFirst && to == State::kUp) successes_ = 1;
  cause_ = cause;
}

}  // namespace har::health
