// Everything that is known of the configured names, their candidates and endpoints, and what follows from it: events in
// (a configuration, addresses, observations, time), changes out (slot contents, events, probes to start and stop).
// Pure: the checker acts on the changes; the replayed scenarios run on it with virtual time.
// Source: SEMANTICS "Answering" 2, 3, 5, "Checking" (hysteresis, RTT), "Selecting".
// Thread: owned by the control thread.  Tested by: directory_test.cc, tests/replay/
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "config/config.h"
#include "health/isolation.h"
#include "health/observation.h"
#include "table/content.h"

namespace har::health {

using CheckId = std::uint32_t;  // one probe target: a Check and an endpoint's address. Never used again for another.

struct CheckTarget {
  config::SharedCheck check;
  IpAddress address;
};

// What the schedule must know of a check, after each change.
struct Pace {
  bool disagrees =
      false;             // the last observation disagrees with the state (of any threshold): ask at frequency_changing
  bool refused = false;  // the last observation was a refused connection: and again after 100 ms
  std::uint32_t fall = 3;   // at most this many in flight
  MaybeInstant down_since;  // down for every name that uses it: the pace falls back after 60 s
  Duration rtt{};           // zero: not known
  bool operator==(const Pace&) const = default;
};

enum class EventKind : std::uint8_t { kState, kChoice };
struct Event {
  EventKind kind = EventKind::kState;
  std::string name, candidate;       // candidate empty for kChoice
  std::optional<IpAddress> address;  // absent for kChoice
  std::string old_value, new_value;  // kState: words of State; kChoice: the answer's addresses, "A,B | AAAA"
  std::string reason;                // "timeout streak=3", "first observation", "best_rtt 1.2ms", ...
  std::uint32_t slot = 0;            // the name's
};

struct Changes {
  std::vector<std::uint32_t> slots;   // names (indices into the configuration) whose content() is new
  std::vector<std::uint32_t> shifts;  // and those where only the next of its equals have their turn (ranking.h)
  std::vector<Event> events;
  std::vector<CheckId> started, stopped;  // probe targets
  std::vector<CheckId> repaced;           // whose pace() is new
  bool ask_all = false;                   // is it them or is it us? A sign of life is wanted from anybody, at once
};

// Counters and times of one endpoint of one name, for the store and for `har status`.
struct EndpointReport {
  std::string name, candidate;
  IpAddress address;
  State state = State::kUnknown;
  bool drained = false, chosen = false;
  std::uint64_t successes = 0, timeouts = 0, connect_errors = 0, response_errors = 0, other_errors = 0;
  std::optional<Instant> last_check, last_success, last_failure;
  std::string last_status;                   // a word of Outcome, and the reason
  Duration connect_time{}, response_time{};  // averages
};

// Why an endpoint stands where it stands in its name's answer, for `har explain`.
struct Standing {
  std::string candidate;
  IpAddress address;
  State state = State::kUnknown;
  bool drained = false;
  std::uint32_t tier = 0;
  Duration rtt{};           // by the name's rtt_mode; zero: not known
  std::uint32_t place = 0;  // 1 is the best of its family; 0: not answered
  std::string why;          // "smallest RTT", "down", "a nearer tier is in use", ...
};

// What the store gives back at start. `age`: time since it was written.
struct StoredEndpoint {
  std::string name, candidate;
  IpAddress address;
  State state = State::kUnknown;
  bool drained = false, chosen = false;
  Duration connect_time{}, response_time{};
  Duration age{};  // since the last check
  std::optional<Duration> since_success;
  std::uint64_t successes = 0, timeouts = 0, connect_errors = 0, response_errors = 0, other_errors = 0;
};

class Directory {
 public:
  // `host_seed`: for selection_method hash (machine-id and host name); `seed`: for everything random.
  Directory(std::string host_seed, std::uint64_t seed);
  ~Directory();

  // Replaces the configuration. What stays (name, candidate, check, address) keeps health, RTT and counters. Slots are
  // the names' indices in `config`: after this every slot's content is new and `slots` lists them all.
  void configure(std::shared_ptr<const config::Config> config, Instant now);
  // After configure(), once: what is younger than state_max_age counts; the rest is ignored. The stored addresses count
  // until the first successful resolution of that candidate. Where it comes late our own observations stand against it,
  // and the counts of both are added.
  void restore(const std::vector<StoredEndpoint>& stored, Instant now);
  // After that: what a predecessor answered in its last moment, when its last changes of state were not stored yet. Of
  // an endpoint whose stored state is contradicted by it the next observation decides at once; until then it is as the
  // answer says.
  void doubt_stored(std::uint32_t slot, const table::SlotContent& answered, Instant now);

  // The hosts that must be resolved (no literals), each once, with the shortest check_frequency behind it and the
  // addresses that are known of it.
  struct Host {
    std::string host;
    Duration frequency;
    std::vector<IpAddress> addresses;
  };
  std::vector<Host> hosts() const;
  // A good answer: these addresses (both families, at most 64) replace what was known of the host. An empty list
  // withdraws. Rules about SERVFAIL and repeated NXDOMAIN are the resolver's (probe/resolver.h); literals never come
  // here.
  void resolved(const std::string& host, const std::vector<IpAddress>& addresses, Instant now);

  void observe(CheckId check, const Observation& observation, Instant now);
  // What is known of this host's own network (isolation.h); before the first call it is never taken as lost. `usable`:
  // there is a way to one of the endpoints or upstreams. While it is lost silence is recorded and changes nothing, and
  // what the loss has changed already is taken back.
  void set_routes(bool usable, std::vector<IpAddress> own, Instant now);
  void upstream_heard(const IpAddress& upstream, Instant asked, Instant now);
  // Links, addresses or routes are others: RTTs from before no longer bind, silence from before does not count.
  void network_changed(Instant now);
  const Isolation& isolation() const;
  // The addresses of endpoints that are not loopback; where there are more than `limit` one of each network (/24, /48)
  // that is not this host's, and at most `limit` of these.
  struct EndpointAddresses {
    std::vector<IpAddress> list;
    bool has_all_networks = true;
  };
  EndpointAddresses endpoint_addresses(std::size_t limit) const;

  // The operator's word: candidate title; empty name: in every name. False if there is none such.
  bool set_drained(const std::string& name, const std::string& candidate, bool drained, Instant now);
  // Time alone can change a choice (switch_dwell). kNever: nothing is due.
  Instant next_tick() const;
  void tick(Instant now);

  // What has changed since the last call.
  Changes take_changes();

  const CheckTarget& target(CheckId check) const;
  Pace pace(CheckId check) const;
  table::SlotContent content(std::uint32_t slot) const;
  // True when an observation (not only stored state) of one of the name's endpoints has counted: silence while this
  // host's network is lost does not, nor does it while it is doubted.
  bool has_own_observation(std::uint32_t slot) const;
  // Every running check has had its first observation, and every host its first resolution attempt ended.
  bool first_round_done() const;
  void resolution_failed(const std::string& host, Instant now);  // only for first_round_done and dns counters
  std::vector<EndpointReport> report() const;
  std::vector<EndpointReport> report(std::uint32_t slot) const;  // the endpoints of one name
  // Every endpoint of a name, as of its last change: both families' places first, best first, then what is left out.
  std::vector<Standing> standings(std::uint32_t slot) const;
  // The endpoints behind a check: usually one. Empty when the check has ended.
  struct Use {
    std::uint32_t slot = 0;
    std::string candidate;
  };
  std::vector<Use> uses(CheckId check) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace har::health
