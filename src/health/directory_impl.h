// The inside of Directory, shared by its four sources: directory.cc (what goes in and comes out), configure.cc
// (configuration and addresses), restore.cc (stored state), publish.cc (ranking, slots, events).
// Thread: the control thread.  Tested by: directory_test.cc
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "health/check_book.h"
#include "health/directory.h"
#include "health/endpoint.h"
#include "health/isolation.h"
#include "health/ranking.h"

namespace har::health {

struct Directory::Impl {
  struct HostState {
    std::vector<IpAddress> addresses;  // sorted, each once
    Few<std::uint32_t> slots;          // names with a candidate of this host, each once, sorted
    Duration frequency{};              // the shortest check_frequency behind it
    bool attempted = false;            // its first resolution has ended, well or not
    bool resolved = false;             // addresses come from a resolution, not from the store
  };

  explicit Impl(std::string host_seed_in) : host_seed(std::move(host_seed_in)) {}

  // configure.cc
  void configure(std::shared_ptr<const config::Config> new_config, Instant now);
  void set_addresses(HostState& host, std::vector<IpAddress> addresses, Instant now);
  void rebuild_endpoints(std::uint32_t slot, Instant now);

  // doubt.cc: what an observation does to the hysteresis; true when a state changed.
  struct Doubt;
  bool weigh(CheckEntry& check, const Observation& observation, Instant now);
  bool apply(CheckEntry& check, const Observation& observation, Instant now);
  void apply_doubted(CheckId id, Doubt& doubt, Instant now);
  void heard(Instant asked, Instant at, Instant now);
  void lose(Instant now);
  void release_due(Instant now);
  void forget_measurements(Instant now);

  // publish.cc
  void touch(std::uint32_t slot);  // to be ranked again by the next publish()
  void publish(Instant now);       // ranks what was touched, until nothing more follows from it
  void rank(std::uint32_t slot, Instant now);
  bool settle(std::uint32_t slot, Instant now);
  void touch_users(const CheckEntry& check);
  void state_changed(const CheckEntry& check, const config::Thresholds& thresholds, State before,
                     const std::string& reason);
  void set_due(std::uint32_t slot, Instant due);
  bool something_needed(const CheckEntry& check, const config::Thresholds& thresholds) const;

  // Fixed after construction.
  const std::string host_seed;

  std::shared_ptr<const config::Config> config;
  std::vector<NameState> names;
  std::unordered_map<std::string_view, std::uint32_t> slots;  // by host; the texts are the configuration's
  std::unordered_map<std::string, HostState> hosts;
  std::size_t hosts_not_attempted = 0;
  CheckBook book;

  std::vector<std::uint32_t> queue;                 // names to be ranked again
  std::set<std::pair<Instant, std::uint32_t>> due;  // names that time alone may change
  std::vector<std::uint32_t> changed_slots, shifted_slots;
  std::size_t taking_shifts = 0;  // names
  std::vector<Event> events;
  Instant last_now{};

  // Of a check's silence since the last sign of life.
  struct Doubt {
    Instant until{};                 // then it counts, whatever else is known
    std::vector<Observation> held;   // till then
    std::vector<Hysteresis> before;  // as they were before any of it counted; empty: none did
  };
  Isolation isolation;
  std::unordered_map<CheckId, Doubt> doubts;
  Instant next_release = kNever;  // no later than the first Doubt::until with something held
  Instant rtt_since = Instant::min();
  bool wants_life = false;  // ask_all of the next Changes

  Ranker ranker;  // these: scratch memory of rank()
  Ranking ranking;
  std::vector<Contender> contenders;
  KeptContent kept;
  std::vector<Endpoint> endpoints;  // scratch memory, too: a name's are as many as they are, and no more
};

// Lower case, no trailing dot.
std::string canonical(std::string_view host);

}  // namespace har::health
