// When is which check probed next? Pure: no sockets, no clock. The prober starts what take_due() hands out and reports
// back what became of it.
//
// Intervals run from start to start:
//     the newest probe has no outcome yet   max(frequency_changing, 4 RTT), unless the endpoint is known to be down
//     the last observation disagrees        frequency_changing; 100 ms after a refused connection
//     down for more than 60 s               doubling, probe by probe, to max(frequency, frequency_down)
//     else                                  frequency, shortened by 0 to 10 % at random
// The first probes are paced; the second ones spread over the interval, so that each endpoint gets a phase of its own.
// All waiting checks stand in one order by due time, so that whatever delays them delays all alike. When they are
// late time after time, all intervals are stretched by one factor until they are not.
//
// Source: SEMANTICS "Checking".  Thread: the control thread.  Tested by: schedule_test.cc
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <unordered_map>

#include "base/time.h"
#include "health/directory.h"
#include "probe/due_heap.h"
#include "probe/limits.h"

namespace har::probe {

// What the schedule must know of a check itself.
struct Rhythm {
  Duration frequency = std::chrono::seconds(2);
  Duration frequency_changing = std::chrono::milliseconds(500);
  Duration frequency_down = std::chrono::seconds(15);
  bool tls = false;

  static Rhythm of(const config::Check& check);
};

class Schedule {
 public:
  // Later than this past its time and a probe counts as late: as late as the event loop itself may be.
  static constexpr Duration kTolerated = std::chrono::milliseconds(100);

  Schedule(ProbeLimits limits, std::uint64_t seed);

  // Requires: `id` is not in the schedule.
  void add(health::CheckId id, const Rhythm& rhythm, const health::Pace& pace, Instant now);
  void remove(health::CheckId id);  // its running probes are counted out
  void repace(health::CheckId id, const health::Pace& pace);
  void check_now(health::CheckId id, Instant now);
  void check_all_now(Instant now);  // paced as first probes are; puts nobody off who is due before
  void set_limits(ProbeLimits limits) { limits_ = limits; }
  bool contains(health::CheckId id) const { return entries_.contains(id); }

  // A probe to be started now, if there is one and the limits allow it. From here on it counts as in flight, and with
  // TLS as an unfinished handshake.
  struct Start {
    health::CheckId id = 0;
    std::uint32_t serial = 0;  // of this probe of this check
  };
  // What is due within `early` counts as due.
  std::optional<Start> take_due(Instant now, Duration early = Duration::zero());
  // When take_due() may have something; kNever when nothing will come before something else is reported here.
  Instant next_due() const;

  // A probe's outcome has come. Calls for removed checks are ignored.
  void ended(health::CheckId id, std::uint32_t serial);
  // It ended without saying anything of the endpoint: it is asked again, at once or at the pace for doubts.
  void ask_again(health::CheckId id, std::uint32_t serial, Instant now, bool at_once);
  // A started TLS probe's handshake is done, or its probe ended, or its connection is so slow that it shall hold up
  // others no longer; in that case began() when it comes to the handshake after all.
  void handshake_ended();
  void handshake_began() { ++handshakes_; }

  std::size_t size() const { return entries_.size(); }
  std::uint32_t in_flight() const { return in_flight_; }
  std::uint32_t handshakes() const { return handshakes_; }
  double stretch() const { return stretch_; }
  std::uint64_t started() const { return started_; }
  std::uint64_t late() const { return late_; }

 private:
  struct Entry {
    health::CheckId number = 0;
    std::uint32_t heap_place = 0;
    Rhythm rhythm;
    health::Pace pace;
    MaybeInstant last_start;
    MaybeInstant forced;       // check_now(), or asked again: due then, whatever the rules say
    MaybeInstant asked_by;     // check_all_now(): due then at the latest
    Duration regular{};        // this round's interval, jitter included
    Duration backed_off{};     // this round's interval when down for long; zero: not down for long
    std::int64_t rate = 0;     // its share of demand_
    std::uint32_t serial = 0;  // of the newest probe
    std::uint32_t in_flight = 0;
    bool newest_unanswered = false;
    enum class Place : std::uint8_t { kNone, kQueue, kTls } place = Place::kNone;
  };
  using Entries = std::unordered_map<health::CheckId, Entry>;

  Instant next_slot(Instant now);
  Instant due_of(const Entry& entry) const;
  Instant due_by_rule(const Entry& entry) const;
  Duration stretched(Duration interval) const;
  void place(Entry& entry);
  void unplace(Entry& entry);
  void start(Entry& entry, Instant now);
  void reckon_demand(Entry& entry);
  void review(Instant now);
  double random();

  ProbeLimits limits_;
  std::minstd_rand random_;
  Entries entries_;
  DueHeap<Entry> queue_;
  DueHeap<Entry> tls_queue_;  // due already, waiting for a handshake to end
  std::uint32_t in_flight_ = 0, handshakes_ = 0;
  std::uint64_t started_ = 0, late_ = 0;
  // pacing of first probes
  Instant slot_{};
  std::uint32_t slot_used_ = 0;
  // stretching
  double stretch_ = 1.0;
  std::int64_t demand_ = 0;  // probes in a million seconds that all checks together ask for, unstretched
  std::optional<Instant> reviewed_;
  std::uint32_t started_since_ = 0;  // since then
  Duration worst_lag_{};             // since then, first probes aside
  double start_rate_ = 0;            // a second, averaged
  double rate_weight_ = 0;           // how much of a full memory the average has: 0 to 1
  bool was_late_ = false;
};

}  // namespace har::probe
