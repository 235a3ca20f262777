// Time as values. Pure code takes an Instant as an argument; only net/clock.h reads the clock.
#pragma once

#include <chrono>
#include <optional>

namespace har {

// CLOCK_MONOTONIC; shared by all processes of one boot. Has no now(): see net/clock.h.
struct MonotonicClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};

using Duration = MonotonicClock::duration;
using Instant = MonotonicClock::time_point;
// The wall clock, for the store and for people only. It may jump.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

inline constexpr Instant kNever = Instant::max();

// A std::optional<Instant> of eight octets instead of sixteen, for what exists in great numbers. kNever is "none".
class MaybeInstant {
 public:
  constexpr MaybeInstant() = default;
  constexpr MaybeInstant(std::nullopt_t) {}
  constexpr MaybeInstant(Instant at) : at_(at) {}
  constexpr MaybeInstant(const std::optional<Instant>& at) : at_(at.value_or(kNever)) {}
  constexpr explicit operator bool() const { return at_ != kNever; }
  constexpr operator std::optional<Instant>() const { return *this ? std::optional(at_) : std::nullopt; }
  constexpr Instant operator*() const { return at_; }  // requires: there is one
  constexpr bool operator==(const MaybeInstant&) const = default;

 private:
  Instant at_ = kNever;
};

constexpr double to_seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
constexpr Duration from_seconds(double s) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
}

}  // namespace har
