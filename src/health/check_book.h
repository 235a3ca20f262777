// The book of running checks: one entry for every different Check and address, however many names use it, with its
// averages, its counters and one Hysteresis for each set of thresholds. Starts with the first user, ends with the last.
// Not for: what a name makes of it (endpoint.h, ranking.h).
// Thread: the control thread.  Tested by: check_book_test.cc, directory_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/few.h"
#include "health/directory.h"
#include "health/hysteresis.h"
#include "health/rtt.h"

namespace har::health {

struct CheckEntry {
  CheckTarget target;
  struct User {
    std::uint32_t slot = 0, endpoints = 0;
  };
  Few<User> users;  // names, each once, sorted by slot
  struct Verdict {
    Hysteresis hysteresis;
    std::uint32_t endpoints = 0;  // that use these thresholds
  };
  Few<Verdict> verdicts;

  RttAverage total, connect;
  std::uint64_t successes = 0, timeouts = 0, connect_errors = 0, response_errors = 0, other_errors = 0;
  MaybeInstant last_check, last_success, last_failure;
  std::string last_reason;
  CheckId id = 0;
  std::optional<Outcome> last_outcome;
  bool observed = false;   // by ourselves, not from the store
  bool counted = false;    // one of these observations said something of the endpoint: it was no silence of our own
  bool announced = false;  // its start has been told
  bool repaced = false;    // in the list of the next Changes
  Pace pace;               // as last computed

  // Requires: an endpoint with these thresholds uses the check.
  const Hysteresis& hysteresis(const config::Thresholds& thresholds) const;
  Hysteresis& hysteresis(const config::Thresholds& thresholds);
  void count(const Observation& observation, Instant now);  // everything but the hysteresis
  void forget_measurements();                               // of both averages
};

class CheckBook {
 public:
  // One more endpoint of name `slot` uses the check. `before`: the check that the same endpoint had in the
  // configuration before, if any: a new entry takes over from it what still holds.
  CheckEntry* acquire(const config::SharedCheck& check, const IpAddress& address, const config::Thresholds& thresholds,
                      std::uint32_t slot, const CheckEntry* before, const config::Thresholds* thresholds_before,
                      Instant now);
  void release(CheckEntry* entry, const config::Thresholds& thresholds, std::uint32_t slot);

  // Between these two all users are acquired anew; what nobody acquired ends then. The entries stay where they are.
  void begin_rebuild();
  void end_rebuild();

  CheckEntry* find(CheckId id);  // null when it has ended
  const CheckEntry* find(CheckId id) const;
  std::size_t unobserved() const { return unobserved_; }
  std::size_t remote() const { return remote_; }  // checks of addresses that are not loopback
  template <class Callee>
  void for_each(Callee callee) {
    for (auto& [id, entry] : entries_) callee(entry);
  }
  void mark_observed(CheckEntry& entry);

  // Computes the pace again; lists the check when it is new.
  void update_pace(CheckEntry& entry);
  void take(Changes& changes);  // appends started, stopped, repaced

 private:
  void end(CheckEntry* entry);

  std::unordered_map<CheckId, CheckEntry> entries_;  // its elements stay where they are
  std::unordered_multimap<std::size_t, CheckEntry*> by_target_;
  CheckId next_id_ = 1;
  std::size_t unobserved_ = 0, remote_ = 0;
  std::vector<CheckId> started_, stopped_, repaced_;
};

}  // namespace har::health
