#include "health/check_book.h"

#include <algorithm>
#include <functional>

#include "base/assert.h"

namespace har::health {
namespace {

std::size_t hash_of(const config::Check& check, const IpAddress& address) {
  const auto mix = [](std::size_t a, std::size_t b) { return (a ^ b) * 0x9E3779B97F4A7C15ULL; };
  std::size_t h = std::hash<IpAddress>{}(address);
  h = mix(h, std::hash<std::string>{}(check.host));
  h = mix(h, std::hash<std::string>{}(check.http->path));
  return mix(h, (static_cast<std::size_t>(check.port) << 2) | static_cast<std::size_t>(check.method));
}

// What the endpoint is asked, and what counts as a good answer; not how often and for how long.
bool same_question(const config::Check& a, const config::Check& b) {
  config::Check c = a;
  c.frequency = b.frequency;
  c.frequency_changing = b.frequency_changing;
  c.frequency_down = b.frequency_down;
  c.timeout = b.timeout;
  return c == b;
}

// Where the user stands or would stand: ten thousand names may share one check.
CheckEntry::User* find_user(CheckEntry& entry, std::uint32_t slot) {
  return std::lower_bound(entry.users.begin(), entry.users.end(), slot,
                          [](const CheckEntry::User& user, std::uint32_t wanted) { return user.slot < wanted; });
}

void inherit_counts(CheckEntry& entry, const CheckEntry& before) {
  entry.total = before.total;
  entry.connect = before.connect;
  entry.successes = before.successes;
  entry.timeouts = before.timeouts;
  entry.connect_errors = before.connect_errors;
  entry.response_errors = before.response_errors;
  entry.other_errors = before.other_errors;
  entry.last_check = before.last_check;
  entry.last_success = before.last_success;
  entry.last_failure = before.last_failure;
  entry.last_outcome = before.last_outcome;
  entry.last_reason = before.last_reason;
}

}  // namespace

const Hysteresis& CheckEntry::hysteresis(const config::Thresholds& thresholds) const {
  for (const Verdict& verdict : verdicts) {
    if (verdict.hysteresis.thresholds() == thresholds) return verdict.hysteresis;
  }
  HAR_ASSERT(false);
}

Hysteresis& CheckEntry::hysteresis(const config::Thresholds& thresholds) {
  return const_cast<Hysteresis&>(std::as_const(*this).hysteresis(thresholds));
}

void CheckEntry::forget_measurements() {
  total.forget_measurements();
  connect.forget_measurements();
}

void CheckEntry::count(const Observation& observation, Instant now) {
  switch (observation.outcome) {
    case Outcome::kOk:
      ++successes;
      break;
    case Outcome::kTimeout:
      ++timeouts;
      break;
    case Outcome::kConnectError:
      ++connect_errors;
      break;
    case Outcome::kResponseError:
      ++response_errors;
      break;
    case Outcome::kOtherError:
      ++other_errors;
      break;
  }
  last_check = now;
  last_outcome = observation.outcome;
  last_reason.assign(observation.reason);  // a copy: nothing here depends on how long the text lives
  if (observation.outcome != Outcome::kOk) {
    last_failure = now;
    return;
  }
  last_success = now;
  if (observation.rtt_counts) {
    total.add(observation.total);
    connect.add(observation.connect);
  }
}

CheckEntry* CheckBook::acquire(const config::SharedCheck& check, const IpAddress& address,
                               const config::Thresholds& thresholds, std::uint32_t slot, const CheckEntry* before,
                               const config::Thresholds* thresholds_before, Instant now) {
  const std::size_t key = hash_of(check, address);
  CheckEntry* entry = nullptr;
  const auto [first, last] = by_target_.equal_range(key);
  for (auto it = first; it != last && entry == nullptr; ++it) {
    const CheckTarget& target = it->second->target;
    if (target.address == address && target.check == check) entry = it->second;
  }

  // An endpoint is an address with port and protocol: what was found there by a slightly different check still says
  // much.
  const bool same_endpoint = before != nullptr && before->target.address == address &&
                             before->target.check->method == check->method && before->target.check->port == check->port;
  const bool same = same_endpoint && same_question(before->target.check, check);

  if (entry == nullptr) {
    entry = &entries_[next_id_];
    entry->id = next_id_++;
    entry->target = {check, address};
    if (same_endpoint) inherit_counts(*entry, *before);
    if (!same) {
      entry->forget_measurements();
    }
    by_target_.emplace(key, entry);
    ++unobserved_;
    if (!address.is_loopback()) ++remote_;
    started_.push_back(entry->id);
  }

  auto* verdict = std::find_if(entry->verdicts.begin(), entry->verdicts.end(),
                               [&](const CheckEntry::Verdict& v) { return v.hysteresis.thresholds() == thresholds; });
  if (verdict == entry->verdicts.end()) {
    Hysteresis fresh(thresholds);
    if (same && *thresholds_before == thresholds) {
      fresh = before->hysteresis(thresholds);
    } else if (same) {
      fresh.adopt(before->hysteresis(*thresholds_before));
    } else if (same_endpoint) {
      fresh.carry(before->hysteresis(*thresholds_before).state(), now);
    } else if (!entry->verdicts.empty()) {  // another name has asked already, with other thresholds
      fresh.carry(entry->verdicts.begin()->hysteresis.state(), now);
    }
    entry->verdicts.push_back({std::move(fresh), 0});
    verdict = entry->verdicts.end() - 1;
  }
  ++verdict->endpoints;

  CheckEntry::User* const user = find_user(*entry, slot);
  if (user == entry->users.end() || user->slot != slot) {
    entry->users.insert(user, {slot, 1});
  } else {
    ++user->endpoints;
  }
  update_pace(*entry);
  return entry;
}

void CheckBook::release(CheckEntry* entry, const config::Thresholds& thresholds, std::uint32_t slot) {
  CheckEntry::User* const user = find_user(*entry, slot);
  HAR_ASSERT(user != entry->users.end() && user->slot == slot);
  if (--user->endpoints == 0) entry->users.erase(user);
  auto* const verdict = std::find_if(entry->verdicts.begin(), entry->verdicts.end(), [&](const CheckEntry::Verdict& v) {
    return v.hysteresis.thresholds() == thresholds;
  });
  HAR_ASSERT(verdict != entry->verdicts.end());
  if (--verdict->endpoints == 0) entry->verdicts.erase(verdict);
  if (entry->users.empty()) {
    end(entry);
  } else {
    update_pace(*entry);
  }
}

void CheckBook::begin_rebuild() {
  for (auto& [id, entry] : entries_) {
    entry.users.clear();
    for (CheckEntry::Verdict& verdict : entry.verdicts) verdict.endpoints = 0;
  }
}

void CheckBook::end_rebuild() {
  std::vector<CheckEntry*> unused;
  for (auto& [id, entry] : entries_) {
    const auto is_unused = [](const CheckEntry::Verdict& verdict) { return verdict.endpoints == 0; };
    for (;;) {
      auto* const verdict = std::find_if(entry.verdicts.begin(), entry.verdicts.end(), is_unused);
      if (verdict == entry.verdicts.end()) break;
      entry.verdicts.erase(verdict);
    }
    if (entry.users.empty()) {
      unused.push_back(&entry);
    } else {
      update_pace(entry);
    }
  }
  for (CheckEntry* entry : unused) end(entry);
}

const CheckEntry* CheckBook::find(CheckId id) const {
  const auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : &it->second;
}

CheckEntry* CheckBook::find(CheckId id) { return const_cast<CheckEntry*>(std::as_const(*this).find(id)); }

void CheckBook::mark_observed(CheckEntry& entry) {
  if (entry.observed) return;
  entry.observed = true;
  --unobserved_;
}

void CheckBook::update_pace(CheckEntry& entry) {
  Pace pace;
  bool all_down = !entry.verdicts.empty();
  pace.fall = 0;
  for (const CheckEntry::Verdict& verdict : entry.verdicts) {
    const Hysteresis& hysteresis = verdict.hysteresis;
    pace.fall = std::max(pace.fall, hysteresis.thresholds().fall);
    if (hysteresis.state() != State::kDown) all_down = false;
    if (entry.last_outcome && hysteresis.state() != State::kUnknown) {
      const State said = *entry.last_outcome == Outcome::kOk ? State::kUp : State::kDown;
      if (said != hysteresis.state()) pace.disagrees = true;
    }
  }
  if (all_down) {  // since the last of them went down
    for (const CheckEntry::Verdict& verdict : entry.verdicts) {
      const std::optional<Instant> since = verdict.hysteresis.changed_at();
      if (since && (!pace.down_since || *since > *pace.down_since)) pace.down_since = since;
    }
  }
  pace.refused = entry.last_outcome == Outcome::kConnectError && entry.last_reason == "refused";
  // An average moves a little with every probe. The schedule only wants its size: told when it moved by a quarter.
  pace.rtt = entry.total.value();
  const Duration moved = pace.rtt > entry.pace.rtt ? pace.rtt - entry.pace.rtt : entry.pace.rtt - pace.rtt;
  if (entry.pace.rtt > Duration::zero() && moved * 4 <= entry.pace.rtt) pace.rtt = entry.pace.rtt;

  if (pace == entry.pace) return;
  entry.pace = pace;
  if (entry.announced && !entry.repaced) {
    entry.repaced = true;
    repaced_.push_back(entry.id);
  }
}

void CheckBook::take(Changes& changes) {
  for (const CheckId id : started_) {
    CheckEntry* entry = find(id);
    if (entry == nullptr) continue;  // started and stopped between two calls: nobody need know
    entry->announced = true;
    changes.started.push_back(id);
  }
  for (const CheckId id : repaced_) {
    CheckEntry* entry = find(id);
    if (entry == nullptr) continue;
    entry->repaced = false;
    changes.repaced.push_back(id);
  }
  changes.stopped.insert(changes.stopped.end(), stopped_.begin(), stopped_.end());
  started_.clear();
  stopped_.clear();
  repaced_.clear();
}

void CheckBook::end(CheckEntry* entry) {
  if (entry->announced) stopped_.push_back(entry->id);
  if (!entry->observed) --unobserved_;
  if (!entry->target.address.is_loopback()) --remote_;
  const auto [first, last] = by_target_.equal_range(hash_of(*entry->target.check, entry->target.address));
  for (auto it = first; it != last; ++it) {
    if (it->second == entry) {
      by_target_.erase(it);
      break;
    }
  }
  entries_.erase(entry->id);
}

}  // namespace har::health
