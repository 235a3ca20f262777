#include "health/directory.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "health/content.h"
#include "health/directory_impl.h"

namespace har::health {

std::string canonical(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string text(host);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// `seed` is for what this class would have to draw by lot. It draws nothing: random and weighted orders are drawn query
// by query by the answerer.
Directory::Directory(std::string host_seed, std::uint64_t /*seed*/)
    : impl_(std::make_unique<Impl>(std::move(host_seed))) {
  impl_->config = std::make_shared<const config::Config>();
}
Directory::~Directory() = default;

void Directory::configure(std::shared_ptr<const config::Config> config, Instant now) {
  impl_->configure(std::move(config), now);
}

std::vector<Directory::Host> Directory::hosts() const {
  std::vector<Host> hosts;
  hosts.reserve(impl_->hosts.size());
  for (const auto& [host, state] : impl_->hosts) hosts.push_back({host, state.frequency, state.addresses});
  std::sort(hosts.begin(), hosts.end(), [](const Host& a, const Host& b) { return a.host < b.host; });
  return hosts;
}

void Directory::resolved(const std::string& host, const std::vector<IpAddress>& addresses, Instant now) {
  const auto it = impl_->hosts.find(host);
  if (it == impl_->hosts.end()) return;  // a late answer for a host of the configuration before
  resolution_failed(host, now);          // an attempt has ended
  it->second.resolved = true;
  impl_->set_addresses(it->second, addresses, now);
  impl_->publish(now);
}

void Directory::resolution_failed(const std::string& host, Instant /*now*/) {
  const auto it = impl_->hosts.find(host);
  if (it == impl_->hosts.end() || it->second.attempted) return;
  it->second.attempted = true;
  --impl_->hosts_not_attempted;
}

void Directory::observe(CheckId id, const Observation& observation, Instant now) {
  Impl& impl = *impl_;
  CheckEntry* check = impl.book.find(id);
  if (check == nullptr) return;  // it has ended while the probe ran
  const bool ok = observation.outcome == Outcome::kOk;
  const Duration total_before = check->total.value();
  const Duration connect_before = check->connect.value();
  Observation counted = observation;
  if (observation.started < impl.rtt_since) counted.rtt_counts = false;
  // A probe that began before the last change of state measured what was before, as its outcome tells of it.
  for (const CheckEntry::Verdict& verdict : check->verdicts) {
    const auto changed_at = verdict.hysteresis.changed_at();
    if (changed_at && observation.started < *changed_at) counted.rtt_counts = false;
  }
  check->count(counted, now);
  impl.book.mark_observed(*check);

  const bool changed = impl.weigh(*check, observation, now);
  impl.book.update_pace(*check);

  const bool rtt_moved = check->total.value() != total_before || check->connect.value() != connect_before;
  for (const CheckEntry::User& user : check->users) {
    const NameState& name = impl.names[user.slot];
    // In the failure modes the order is by the last success.
    if (changed || (rtt_moved && depends_on_rtt(*name.config)) || (ok && name.failing)) impl.touch(user.slot);
  }
  impl.publish(now);
}

bool Directory::set_drained(const std::string& name, const std::string& candidate, bool drained, Instant now) {
  Impl& impl = *impl_;
  const std::string wanted_name = canonical(name);
  const std::string wanted = canonical(candidate);
  bool found = false;
  for (std::uint32_t slot = 0; slot < impl.names.size(); ++slot) {
    NameState& state = impl.names[slot];
    if (!wanted_name.empty() && state.config->host != wanted_name) continue;
    for (std::uint32_t c = 0; c < state.config->candidates.size(); ++c) {
      const std::string& title = state.config->candidates[c].title;
      if (canonical(title) != wanted) continue;
      found = true;
      if (state.is_drained(c) == drained) continue;
      state.set_drained(c, drained);
      const std::string words[] = {"auto", "drained"};
      impl.events.push_back({EventKind::kState, state.config->host, title, std::nullopt, words[drained ? 0 : 1],
                             words[drained ? 1 : 0], "operator", slot});
      impl.touch(slot);
    }
  }
  impl.publish(now);
  return found;
}

Instant Directory::next_tick() const {
  return std::min(impl_->next_release, impl_->due.empty() ? kNever : impl_->due.begin()->first);
}

void Directory::tick(Instant now) {
  impl_->release_due(now);
  for (const auto& [when, slot] : impl_->due) {
    if (when > now) break;
    impl_->touch(slot);
  }
  impl_->publish(now);
}

Changes Directory::take_changes() {
  Changes changes;
  changes.slots.swap(impl_->changed_slots);
  changes.shifts.swap(impl_->shifted_slots);
  for (const std::uint32_t slot : changes.slots) impl_->names[slot].changed = false;
  changes.events.swap(impl_->events);
  impl_->book.take(changes);
  changes.ask_all = std::exchange(impl_->wants_life, false);
  return changes;
}

const CheckTarget& Directory::target(CheckId check) const {
  const CheckEntry* entry = impl_->book.find(check);
  HAR_ASSERT(entry != nullptr);
  return entry->target;
}

Pace Directory::pace(CheckId check) const {
  const CheckEntry* entry = impl_->book.find(check);
  HAR_ASSERT(entry != nullptr);
  return entry->pace;
}

table::SlotContent Directory::content(std::uint32_t slot) const { return impl_->names.at(slot).content.content(); }

bool Directory::has_own_observation(std::uint32_t slot) const {
  const std::vector<Endpoint>& endpoints = impl_->names.at(slot).endpoints;
  return std::any_of(endpoints.begin(), endpoints.end(), [](const Endpoint& e) { return e.check->counted; });
}

bool Directory::first_round_done() const { return impl_->hosts_not_attempted == 0 && impl_->book.unobserved() == 0; }

}  // namespace har::health
