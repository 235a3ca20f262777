#include "probe/schedule.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace har::probe {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kAfterRefusal = milliseconds(100);
constexpr Duration kPatienceWithTheDown = seconds(60);
constexpr double kJitter = 0.1;

// First probes: 5,000 a second. An HTTP check costs some 130 microseconds of CPU, so that the loop has time left to
// read the replies when they come: the first RTTs count for long.
constexpr Duration kSlot = milliseconds(10);
constexpr std::uint32_t kFirstProbesPerSlot = 50;

// Stretching. While probes are late, what is started is all that can be; demand over that is the factor, and a little
// more to catch up. One late period alone (a stall of the loop) is no overload. Afterwards it falls slowly.
constexpr Duration kReview = milliseconds(500);
constexpr Duration kRateMemory = seconds(4);  // timeouts end in bursts, and so do starts when the limit holds
constexpr double kCatchUp = 1.05;
constexpr double kMostGrowth = 2;
constexpr double kDecay = 0.97;
constexpr double kMostStretch = 1'000;
constexpr std::int64_t kMillionSeconds = 1'000'000'000'000'000;  // in nanoseconds

Duration scaled(Duration interval, double factor) {
  return Duration(static_cast<Duration::rep>(static_cast<double>(interval.count()) * factor));
}

}  // namespace

Rhythm Rhythm::of(const config::Check& check) {
  return {.frequency = check.frequency,
          .frequency_changing = std::min(check.frequency_changing, check.frequency),
          .frequency_down = check.frequency_down,
          .tls = check.method == config::CheckMethod::kHttps};
}

Schedule::Schedule(ProbeLimits limits, std::uint64_t seed)
    : limits_(limits), random_(static_cast<std::minstd_rand::result_type>(seed ^ (seed >> 32))) {}

double Schedule::random() { return std::uniform_real_distribution<double>(0, 1)(random_); }

Instant Schedule::next_slot(Instant now) {
  if (slot_ < now) {
    slot_ = now;
    slot_used_ = 0;
  } else if (slot_used_ == kFirstProbesPerSlot) {
    slot_ += kSlot;
    slot_used_ = 0;
  }
  ++slot_used_;
  return slot_;
}

void Schedule::add(health::CheckId id, const Rhythm& rhythm, const health::Pace& pace, Instant now) {
  const auto [at, is_new] = entries_.try_emplace(id);
  HAR_ASSERT(is_new);
  at->second.number = id;
  at->second.rhythm = rhythm;
  at->second.pace = pace;
  at->second.forced = next_slot(now);
  reckon_demand(at->second);
  place(at->second);
}

void Schedule::remove(health::CheckId id) {
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;
  unplace(at->second);
  in_flight_ -= at->second.in_flight;
  demand_ -= at->second.rate;
  entries_.erase(at);
}

void Schedule::repace(health::CheckId id, const health::Pace& pace) {
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;
  Entry& entry = at->second;
  if (pace.down_since != entry.pace.down_since) {
    // The interval that runs is the long one of the time before as well.
    entry.backed_off = {};
    entry.regular = std::min(entry.regular, entry.rhythm.frequency);
  }
  entry.pace = pace;
  reckon_demand(entry);
  place(entry);
}

void Schedule::check_now(health::CheckId id, Instant now) {
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;
  at->second.forced = at->second.forced ? std::min(now, *at->second.forced) : now;
  place(at->second);
}

void Schedule::check_all_now(Instant now) {
  // In the order in which they are due: few come before their slot then, and the round keeps its pace.
  std::vector<std::pair<Instant, Entry*>> order;
  order.reserve(entries_.size());
  for (auto& [id, entry] : entries_) order.emplace_back(due_of(entry), &entry);
  std::sort(order.begin(), order.end());
  for (const auto& [due, entry] : order) {
    if (entry->asked_by) continue;  // of a round before this one, which is not over: that has a slot already
    entry->asked_by = next_slot(now);
    place(*entry);
  }
}

Duration Schedule::stretched(Duration interval) const { return scaled(interval, stretch_); }

Instant Schedule::due_of(const Entry& entry) const {
  const Instant due = entry.forced ? *entry.forced : due_by_rule(entry);
  return entry.asked_by ? std::min(due, *entry.asked_by) : due;
}

Instant Schedule::due_by_rule(const Entry& entry) const {
  const Instant start = *entry.last_start;  // an entry without a start has been forced since add()
  const Rhythm& rhythm = entry.rhythm;
  // Of an endpoint that is known to be down silence is what was expected: no reason to hurry.
  if (entry.newest_unanswered && !entry.pace.down_since) {
    const Duration doubt = std::max(rhythm.frequency_changing, 4 * entry.pace.rtt);
    return start + stretched(std::min(doubt, entry.regular));
  }
  if (entry.pace.disagrees) {
    const Duration again =
        entry.pace.refused ? std::min(kAfterRefusal, rhythm.frequency_changing) : rhythm.frequency_changing;
    return start + stretched(again);
  }
  return start + stretched(entry.regular);
}

void Schedule::place(Entry& entry) {
  unplace(entry);
  if (entry.in_flight >= std::max(1U, entry.pace.fall)) return;  // ended() places it again
  queue_.add(entry, due_of(entry));
  entry.place = Entry::Place::kQueue;
}

void Schedule::unplace(Entry& entry) {
  if (entry.place == Entry::Place::kQueue) queue_.remove(entry);
  if (entry.place == Entry::Place::kTls) tls_queue_.remove(entry);
  entry.place = Entry::Place::kNone;
}

std::optional<Schedule::Start> Schedule::take_due(Instant now, Duration early) {
  review(now);
  if (in_flight_ >= limits_.in_flight) return std::nullopt;
  const bool tls_allowed = handshakes_ < limits_.tls_handshakes;
  // What may not start for want of a handshake steps aside, so that it does not hold up the others.
  while (!tls_allowed && !queue_.empty() && queue_.first().due <= now + early) {
    const auto [due, entry] = queue_.first();
    if (!entry->rhythm.tls) break;
    queue_.remove(*entry);
    tls_queue_.add(*entry, due);
    entry->place = Entry::Place::kTls;
  }
  const bool has_tls = tls_allowed && !tls_queue_.empty();
  const bool has_other = !queue_.empty() && queue_.first().due <= now + early;
  if (!has_tls && !has_other) return std::nullopt;
  const bool take_tls = has_tls && (!has_other || tls_queue_.first() < queue_.first());
  Entry& entry = *(take_tls ? tls_queue_ : queue_).first().entry;
  start(entry, now);
  return Start{.id = entry.number, .serial = entry.serial};
}

void Schedule::start(Entry& entry, Instant now) {
  const bool first = !entry.last_start;
  const Instant due = (entry.place == Entry::Place::kTls ? tls_queue_ : queue_).due_of(entry);
  const Duration lag = now - due;
  ++started_since_;
  // First probes are as many as the configuration has checks; how long they take says nothing of the schedule.
  if (!first) {
    if (lag > kTolerated) ++late_;
    // What was due at the last review has been counted by it.
    if (due >= reviewed_) worst_lag_ = std::max(worst_lag_, lag);
  }
  const Rhythm& rhythm = entry.rhythm;
  Duration interval = rhythm.frequency;
  if (entry.pace.down_since && !entry.pace.disagrees && now - *entry.pace.down_since >= kPatienceWithTheDown) {
    const Duration longest = std::max(rhythm.frequency, rhythm.frequency_down);
    entry.backed_off = std::min(longest, 2 * std::max(entry.backed_off, rhythm.frequency));
    reckon_demand(entry);
  }
  if (entry.pace.down_since) interval = std::max(interval, entry.backed_off);
  entry.regular = first ? rhythm.frequency_changing + scaled(interval - rhythm.frequency_changing, random())
                        : scaled(interval, 1 - kJitter * random());
  entry.last_start = now;
  entry.forced = entry.asked_by = std::nullopt;
  entry.newest_unanswered = true;
  ++entry.serial;
  ++entry.in_flight;
  ++in_flight_;
  ++started_;
  if (rhythm.tls) ++handshakes_;
  place(entry);
}

Instant Schedule::next_due() const {
  if (in_flight_ >= limits_.in_flight) return kNever;
  if (!tls_queue_.empty() && handshakes_ < limits_.tls_handshakes) return tls_queue_.first().due;
  return queue_.empty() ? kNever : queue_.first().due;
}

void Schedule::ended(health::CheckId id, std::uint32_t serial) {
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;
  Entry& entry = at->second;
  HAR_ASSERT(entry.in_flight > 0);
  --entry.in_flight;
  --in_flight_;
  if (serial == entry.serial) entry.newest_unanswered = false;
  place(entry);
}

void Schedule::ask_again(health::CheckId id, std::uint32_t serial, Instant now, bool at_once) {
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;
  const Instant when = at_once ? now : now + stretched(at->second.rhythm.frequency_changing);
  at->second.forced = at->second.forced ? std::min(when, *at->second.forced) : when;
  ended(id, serial);
}

void Schedule::handshake_ended() {
  HAR_ASSERT(handshakes_ > 0);
  --handshakes_;
}

void Schedule::reckon_demand(Entry& entry) {
  Duration interval = entry.rhythm.frequency;
  if (entry.pace.disagrees)
    interval = entry.rhythm.frequency_changing;
  else if (entry.pace.down_since)
    interval = std::max(interval, entry.backed_off);
  demand_ -= entry.rate;
  entry.rate = kMillionSeconds / std::max<Duration::rep>(1, interval.count());
  demand_ += entry.rate;
}

void Schedule::review(Instant now) {
  if (!reviewed_) reviewed_ = now;
  const Duration since = now - *reviewed_;
  if (since < kReview) return;
  reviewed_ = now;
  Duration lag = std::exchange(worst_lag_, Duration::zero());
  const double rate = std::exchange(started_since_, 0) / to_seconds(since);
  const double weight = 1 - std::exp(-to_seconds(since) / to_seconds(kRateMemory));
  start_rate_ += (rate - start_rate_) * weight;
  rate_weight_ += (1 - rate_weight_) * weight;
  // Those that still wait count as well: with nothing ending nothing starts.
  for (const auto* queue : {&queue_, &tls_queue_}) {
    if (queue->empty()) continue;
    const auto& [due, entry] = queue->first();
    if (entry->last_start) lag = std::max(lag, now - due);
  }
  if (lag <= kTolerated) {
    was_late_ = false;
    stretch_ *= std::pow(kDecay, std::min(1'000.0, to_seconds(since) / to_seconds(kReview)));
    if (stretch_ < 1.01) stretch_ = 1.0;
    if (stretch_ == 1.0) start_rate_ = rate_weight_ = 0;  // what was asked for: not what can be
    return;
  }
  if (std::exchange(was_late_, true)) {
    const double needed = kCatchUp * static_cast<double>(demand_) / 1e6 / std::max(1e-3, start_rate_ / rate_weight_);
    stretch_ = std::clamp(needed, stretch_, std::min(kMostStretch, stretch_ * kMostGrowth));
  }
}

}  // namespace har::probe
