// Directory: what was touched is ranked again; slots and events follow from what is new.
#include <fmt/format.h>

#include <functional>
#include <utility>

#include "health/content.h"
#include "health/directory_impl.h"

namespace har::health {
namespace {

// Of what an answer comes from, whoever's shift it is; 0 where nobody takes shifts.
std::uint64_t crew_of(const Ranking& ranking, std::span<const Contender> contenders,
                      const table::SlotContent& content) {
  if (!ranking.v4.takes_shifts() && !ranking.v6.takes_shifts()) return 0;
  const auto mix = [](std::uint64_t a, std::uint64_t b) { return (a ^ b) * 0x9E3779B97F4A7C15; };
  std::uint64_t digest = 1;
  for (const Family family : {Family::kV4, Family::kV6}) {
    const FamilyRanking& ranked = ranking.family(family);
    std::uint64_t members = 0;
    for (std::size_t i = 0; i < ranked.equals; ++i) {  // a sum: in whatever order
      members += mix(1, std::hash<IpAddress>{}(contenders[ranked.places[i].index].address));
    }
    const table::FamilyAnswer& answer = family == Family::kV4 ? content.v4 : content.v6;
    digest = mix(mix(digest, members), static_cast<std::uint64_t>(answer.kind));
    if (ranked.takes_shifts()) continue;
    for (std::size_t i = 0; i < answer.count; ++i) {
      digest = mix(digest, std::hash<IpAddress>{}(IpAddress{family, answer.addresses[i]}));
    }
  }
  return digest | 1;
}

}  // namespace

void Directory::Impl::touch(std::uint32_t slot) {
  if (names[slot].queued) return;
  names[slot].queued = true;
  queue.push_back(slot);
}

void Directory::Impl::touch_users(const CheckEntry& check) {
  for (const CheckEntry::User& user : check.users) touch(user.slot);
}

void Directory::Impl::publish(Instant now) {
  last_now = now;
  // The queue grows while it is worked off: an endpoint that comes up because nothing else of one name is up may be
  // another name's too. It ends: in here endpoints only come up, never go down.
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const std::uint32_t slot = queue[i];
    names[slot].queued = false;
    rank(slot, now);
  }
  queue.clear();
}

void Directory::Impl::rank(std::uint32_t slot, Instant now) {
  NameState& name = names[slot];
  to_contenders(name, host_seed, now, contenders);
  ranker.set_shift(shift_length(taking_shifts));
  ranker.rank(*name.config, contenders, now, ranking);
  // What settles comes up before anybody sees the name without it: it is in the queue again.
  if (!ranking.any_up && settle(slot, now)) return;
  for (std::size_t i = 0; i < name.endpoints.size(); ++i) name.endpoints[i].memory = ranking.memory[i];
  name.any_up = ranking.any_up;
  name.failing = ranking.basis == Ranking::Basis::kFailure;
  set_due(slot, ranking.next_change);

  const table::SlotContent content = to_content(*name.config, contenders, ranking);
  const std::uint64_t crew = crew_of(ranking, contenders, content);
  if (crew != 0 && name.crew == 0) ++taking_shifts;
  if (crew == 0 && name.crew != 0) --taking_shifts;
  const bool is_next_shift = std::exchange(name.crew, crew) == crew && crew != 0;
  kept.set(content);
  if (kept == name.content) return;
  const table::SlotContent before = name.content.content();
  name.content = kept;
  if (is_next_shift) {
    shifted_slots.push_back(slot);
    return;
  }
  if (!name.changed) {
    name.changed = true;
    changed_slots.push_back(slot);
  }
  std::string was = describe(before), is = describe(content);
  if (was == is) return;
  events.push_back({EventKind::kChoice, name.config->host, "", std::nullopt, std::move(was), std::move(is),
                    reason(*name.config, contenders, ranking), slot});
}

// Nothing of the name is up: endpoints that only a doubled `rise` keeps out come up now.
bool Directory::Impl::settle(std::uint32_t slot, Instant now) {
  bool changed = false;
  const NameState& name = names[slot];
  for (const Endpoint& endpoint : name.endpoints) {
    // What is drained helps nobody: it goes on counting as it would.
    if (name.is_drained(endpoint.candidate)) continue;
    Hysteresis& hysteresis = endpoint.check->hysteresis(name.config->thresholds);
    if (!hysteresis.settle(now)) continue;
    changed = true;
    state_changed(*endpoint.check, name.config->thresholds, State::kDown,
                  fmt::format("ok streak={}, nothing else is up", hysteresis.cause().count));
    book.update_pace(*endpoint.check);
    touch_users(*endpoint.check);
  }
  return changed;
}

// One event for each endpoint that uses the check with these thresholds.
void Directory::Impl::state_changed(const CheckEntry& check, const config::Thresholds& thresholds, State before,
                                    const std::string& reason) {
  const State state = check.hysteresis(thresholds).state();
  for (const CheckEntry::User& user : check.users) {
    const NameState& name = names[user.slot];
    if (name.config->thresholds != thresholds) continue;
    for (const Endpoint& endpoint : name.endpoints) {
      if (endpoint.check != &check) continue;
      events.push_back({EventKind::kState, name.config->host, name.config->candidates[endpoint.candidate].title,
                        endpoint.address(), std::string(word(before)), std::string(word(state)), reason, user.slot});
    }
  }
}

void Directory::Impl::set_due(std::uint32_t slot, Instant when) {
  NameState& name = names[slot];
  if (name.due == when) return;
  if (name.due != kNever) due.erase({name.due, slot});
  name.due = when;
  if (when != kNever) due.emplace(when, slot);
}

// Whether a name that uses the check with these thresholds has nothing up: then the plain `rise` applies. The state is
// shared by all of them; keeping a name in its failure mode for the others' sake would be worse than a flapping
// endpoint among their healthy ones.
bool Directory::Impl::something_needed(const CheckEntry& check, const config::Thresholds& thresholds) const {
  for (const CheckEntry::User& user : check.users) {
    const NameState& name = names[user.slot];
    if (!name.any_up && name.config->thresholds == thresholds) return true;
  }
  return false;
}

}  // namespace har::health
