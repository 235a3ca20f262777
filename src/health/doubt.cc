// Directory: what an observation does to states. Where nothing at all has been heard since a silent probe began, its
// silence may be our own: it waits for a sign of life, a sign that the host's network is lost, or the end of a delay
// that keeps the promised bounds; and what it has changed until then can be taken back.
#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "health/directory_impl.h"

namespace har::health {
namespace {

// By when the others, asked at once, have answered or are silent themselves: their timeout, and our own slowness. The
// third failure, which brings an endpoint down, comes later with the default frequencies.
constexpr Duration kSlowness = std::chrono::milliseconds(100);
// A route that has just gone: the kernel's message about it is on its way to us.
constexpr Duration kRouteDelay = std::chrono::milliseconds(200);

std::string reason_of(const Hysteresis::Cause& cause, const Observation& observation) {
  const bool ok = observation.outcome == Outcome::kOk;
  const std::string_view what = ok || observation.reason.empty() ? word(observation.outcome) : observation.reason;
  switch (cause.kind) {
    case Hysteresis::Cause::Kind::kFirst:
      return fmt::format("first observation: {}", what);
    case Hysteresis::Cause::Kind::kStreak:
      return fmt::format("{} streak={}", what, cause.count);
    case Hysteresis::Cause::Kind::kFailures:
      return fmt::format("{} failures={}", what, cause.count);
    case Hysteresis::Cause::Kind::kNothingElseUp:
      return fmt::format("ok streak={}, nothing else is up", cause.count);
  }
  HAR_ASSERT(false);
}

}  // namespace

bool Directory::Impl::apply(CheckEntry& check, const Observation& observation, Instant now) {
  const bool ok = observation.outcome == Outcome::kOk;
  bool changed = false;
  check.counted = true;
  for (CheckEntry::Verdict& verdict : check.verdicts) {
    Hysteresis& hysteresis = verdict.hysteresis;
    const State before = hysteresis.state();
    const bool plain_rise = ok && before == State::kDown && something_needed(check, hysteresis.thresholds());
    if (!hysteresis.observe(ok, observation.started, now, plain_rise)) continue;
    changed = true;
    // What was measured on the way back (the queue of a process that was stopped, say) is no measure of the time after
    // it: in the average it would keep a returned endpoint from its place for half a minute.
    if (before == State::kDown) check.forget_measurements();
    state_changed(check, hysteresis.thresholds(), before, reason_of(hysteresis.cause(), observation));
  }
  return changed;
}

bool Directory::Impl::weigh(CheckEntry& check, const Observation& observation, Instant now) {
  const IpAddress& ip = check.target.address;
  if (!isolation.in_use() || !isolation.is_remote(ip)) return apply(check, observation, now);
  if (!is_silent(observation)) {
    // Behind a SYN-ACK there may be silence until the timeout.
    const bool only_connected = observation.outcome == Outcome::kTimeout;
    heard(observation.started, only_connected ? observation.started + observation.connect : now, now);
    return apply(check, observation, now);
  }
  if (isolation.is_lost() || observation.started < isolation.begun()) return false;
  const Isolation::Endpoint endpoint{ip, check.target.check->port, check.target.check->method};
  if (!isolation.silent(check.id, endpoint, observation.started, book.remote(), now)) {
    return apply(check, observation, now);
  }
  if (isolation.is_lost()) {
    lose(now);
    return false;
  }
  const bool can_be_us = book.remote() >= Isolation::kLeastEndpoints;
  const bool refused_by_us = observation.outcome != Outcome::kTimeout;
  const auto [at, is_new] = doubts.try_emplace(check.id);
  Doubt& doubt = at->second;
  if (is_new) {
    doubt.until = now;
    if (can_be_us) doubt.until = now + std::max(check.target.check->timeout, Isolation::kHearing) + kSlowness;
    if (!can_be_us && refused_by_us) doubt.until = now + kRouteDelay;
  }
  // Of what is down silence is expected.
  const auto is_down = [](const CheckEntry::Verdict& v) { return v.hysteresis.state() == State::kDown; };
  if (can_be_us && !std::all_of(check.verdicts.begin(), check.verdicts.end(), is_down) && isolation.ask(now)) {
    wants_life = true;
  }
  if (now < doubt.until) {
    doubt.held.push_back(observation);
    next_release = std::min(next_release, doubt.until);
    return false;
  }
  if (!doubt.held.empty()) apply_doubted(check.id, doubt, now);
  for (const CheckEntry::Verdict& verdict : check.verdicts) {
    if (is_new) doubt.before.push_back(verdict.hysteresis);
  }
  return apply(check, observation, now);
}

// What was held counts now.
void Directory::Impl::apply_doubted(CheckId id, Doubt& doubt, Instant now) {
  CheckEntry* check = book.find(id);
  if (check == nullptr) return;  // it has ended meanwhile
  if (!doubt.held.empty()) {
    for (const CheckEntry::Verdict& verdict : check->verdicts) doubt.before.push_back(verdict.hysteresis);
  }
  bool changed = false;
  for (const Observation& observation : doubt.held) changed |= apply(*check, observation, now);
  doubt.held.clear();
  if (!changed) return;
  book.update_pace(*check);
  touch_users(*check);
}

void Directory::Impl::heard(Instant asked, Instant at, Instant now) {
  const bool was_lost = isolation.is_lost();
  for (const CheckId id : isolation.heard(asked, at, now)) {
    const auto doubted = doubts.find(id);
    if (doubted == doubts.end()) continue;
    apply_doubted(id, doubted->second, now);
    doubts.erase(doubted);
  }
  if (was_lost && !isolation.is_lost()) forget_measurements(now);
}

// Nothing has gone down because of our own loss.
void Directory::Impl::lose(Instant now) {
  for (auto& [id, doubt] : doubts) {
    CheckEntry* check = book.find(id);
    if (check == nullptr) continue;
    for (const Hysteresis& before : doubt.before) {
      for (CheckEntry::Verdict& verdict : check->verdicts) {
        if (verdict.hysteresis.thresholds() != before.thresholds()) continue;
        const State wrong = verdict.hysteresis.state();
        verdict.hysteresis = before;
        if (wrong != before.state()) state_changed(*check, before.thresholds(), wrong, "taken back: network lost");
      }
    }
    book.update_pace(*check);
    touch_users(*check);
  }
  doubts.clear();
  next_release = kNever;
  publish(now);
}

void Directory::Impl::release_due(Instant now) {
  if (now < next_release) return;
  if (isolation.judge(book.remote(), now)) return lose(now);
  next_release = kNever;
  for (auto& [id, doubt] : doubts) {
    if (doubt.held.empty()) continue;
    if (doubt.until <= now) {
      apply_doubted(id, doubt, now);
    } else {
      next_release = std::min(next_release, doubt.until);
    }
  }
}

void Directory::Impl::forget_measurements(Instant now) {
  rtt_since = now;
  book.for_each([](CheckEntry& check) { check.forget_measurements(); });
}

void Directory::set_routes(bool usable, std::vector<IpAddress> own, Instant now) {
  const bool was_lost = impl_->isolation.is_lost();
  impl_->isolation.set_routes(usable, std::move(own), now);
  if (was_lost == impl_->isolation.is_lost()) return;
  if (was_lost) {
    impl_->forget_measurements(now);
  } else {
    impl_->lose(now);
  }
}

void Directory::upstream_heard(const IpAddress& upstream, Instant asked, Instant now) {
  if (!impl_->isolation.in_use() || !impl_->isolation.is_remote(upstream)) return;
  impl_->heard(asked, now, now);
  impl_->publish(now);
}

void Directory::network_changed(Instant now) {
  impl_->isolation.begin_anew(now);
  impl_->doubts.clear();
  impl_->next_release = kNever;
  impl_->forget_measurements(now);
}

const Isolation& Directory::isolation() const { return impl_->isolation; }

Directory::EndpointAddresses Directory::endpoint_addresses(std::size_t limit) const {
  std::set<IpAddress> all;
  impl_->book.for_each([&](const CheckEntry& check) {
    if (!check.target.address.is_loopback()) all.insert(check.target.address);
  });
  EndpointAddresses addresses;
  auto& list = addresses.list;
  if (all.size() <= limit) {
    list.assign(all.begin(), all.end());
    return addresses;
  }
  for (const IpAddress& ip : all) {  // those of one network stand together
    if (!list.empty() && network_of(list.back()) == network_of(ip)) continue;
    if (!impl_->isolation.is_remote(ip)) continue;
    addresses.has_all_networks = list.size() < limit;
    if (!addresses.has_all_networks) break;
    list.push_back(ip);
  }
  return addresses;
}

}  // namespace har::health
