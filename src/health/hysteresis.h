// Rise and fall counting for one check and one set of thresholds: turns a stream of outcomes into rare changes of
// state. Knows nothing of names, addresses or sockets; time comes as an argument.
//
//   state     outcome   what happens
//   unknown   ok        up at once            unknown   failure   down at once
//   up        ok        after ok_reset successes in a row the failures are forgotten
//   up        failure   the `fall`-th that is not forgotten: down
//   down      ok        the `rise`-th in a row: up            down      failure   the successes are forgotten
//
// `rise` is doubled for every fall but the first within 10 minutes, to at most 32 times its value; the doubling ends
// 10 minutes after the last fall. It does not apply while nothing else of a name is up (`plain_rise`).
// An outcome whose probe started before the last change of state says nothing about the new state: it does not count.
// Source: SEMANTICS "Checking", hysteresis.  Thread: any (a value).  Tested by: hysteresis_test.cc, tests/replay/
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "config/config.h"
#include "health/observation.h"

namespace har::health {

class Hysteresis {
 public:
  explicit Hysteresis(const config::Thresholds& thresholds) : thresholds_(thresholds) {}

  // Both return true when the state changed; cause() then says why.
  bool observe(bool ok, Instant started, Instant now, bool plain_rise);
  // Nothing else of a name is up any more: the successes counted so far may be enough for the plain `rise`.
  bool settle(Instant now);

  // State from before a restart: counts as if it had been observed.
  void restore(State state, Instant now);
  // State that was found by a slightly different check or with other thresholds: shown, but the next observation
  // decides at once, as for an unknown one.
  void carry(State state, Instant now);
  // The same question asked before with other thresholds: its state holds, its counts do not.
  void adopt(const Hysteresis& other);

  const config::Thresholds& thresholds() const { return thresholds_; }
  State state() const { return state_; }
  std::optional<Instant> changed_at() const { return changed_at_; }
  std::optional<Instant> left_up_at() const;     // when it was up for the last time, if not now
  std::uint64_t rise_needed(Instant now) const;  // successes in a row, doubling included

  struct Cause {
    enum class Kind : std::uint8_t {
      kFirst,          // the first observation decided
      kStreak,         // `count` in a row
      kFailures,       // `count` failures, successes between them
      kNothingElseUp,  // `count` successes in a row, and the plain rise applied
    };
    Kind kind = Kind::kFirst;
    std::uint32_t count = 0;
  };
  const Cause& cause() const { return cause_; }

 private:
  void change(State to, Instant now, Cause cause);

  config::Thresholds thresholds_;
  State state_ = State::kUnknown;
  bool provisional_ = false;     // carried: the next observation decides
  std::uint32_t successes_ = 0;  // in a row
  std::uint32_t failures_ = 0;   // not forgotten
  std::uint32_t failures_in_a_row_ = 0;
  std::uint32_t factor_ = 1;  // of `rise`, as of the last fall
  MaybeInstant changed_at_;
  std::vector<Instant> falls_;  // the last six, the latest at the end; most endpoints have none
  Cause cause_;
};

}  // namespace har::health
