// Directory: what the store kept from before a restart; also when it could be read only after we have begun to observe.
#include <algorithm>
#include <unordered_set>

#include "health/directory_impl.h"

namespace har::health {
namespace {

bool shows(const table::SlotContent& content, const IpAddress& address) {
  const table::FamilyAnswer& answer = address.family == Family::kV4 ? content.v4 : content.v6;
  if (answer.kind != table::Kind::kAddresses) return false;
  const auto end = answer.addresses.begin() + answer.count;
  return std::find(answer.addresses.begin(), end, address.bytes) != end;
}

}  // namespace

void Directory::restore(const std::vector<StoredEndpoint>& stored, Instant now) {
  Impl& impl = *impl_;
  struct Row {
    const StoredEndpoint* stored;
    std::uint32_t slot, candidate;
  };
  std::vector<Row> rows;  // that count
  std::unordered_map<std::string, std::vector<IpAddress>> addresses;

  for (const StoredEndpoint& row : stored) {
    const auto found = impl.slots.find(row.name);
    if (found == impl.slots.end()) continue;
    NameState& name = impl.names[found->second];
    const std::vector<config::Candidate>& candidates = name.config->candidates;
    const auto candidate = std::find_if(candidates.begin(), candidates.end(),
                                        [&](const config::Candidate& c) { return c.title == row.candidate; });
    if (candidate == candidates.end()) continue;
    const auto index = static_cast<std::uint32_t>(candidate - candidates.begin());
    if (row.drained && !name.is_drained(index)) {  // the operator's word has no age
      name.set_drained(index, true);
      impl.touch(found->second);
    }
    if (row.age > impl.config->state_max_age) continue;
    rows.push_back({&row, found->second, index});
    const auto host = impl.hosts.find(candidate->check->host);
    if (host != impl.hosts.end() && !host->second.resolved) addresses[candidate->check->host].push_back(row.address);
  }

  for (auto& [host, list] : addresses) impl.set_addresses(impl.hosts.at(host), std::move(list), now);

  // A stored choice stands against the one that configure() made from nothing, not against one of our own eyes.
  const auto is_observed = [&](std::uint32_t slot) {
    const std::vector<Endpoint>& endpoints = impl.names[slot].endpoints;
    return std::any_of(endpoints.begin(), endpoints.end(), [](const Endpoint& e) { return e.check->observed; });
  };
  for (const Row& row : rows) {
    if (!row.stored->chosen || is_observed(row.slot)) continue;
    for (Endpoint& endpoint : impl.names[row.slot].endpoints) {
      if (endpoint.address().family == row.stored->address.family) endpoint.memory.chosen = false;
    }
  }
  std::unordered_set<const CheckEntry*> counted;  // several names may share a check: the first row speaks for it
  for (const Row& row : rows) {
    NameState& name = impl.names[row.slot];
    const auto endpoint = std::find_if(name.endpoints.begin(), name.endpoints.end(), [&](const Endpoint& e) {
      return e.candidate == row.candidate && e.address() == row.stored->address;
    });
    if (endpoint == name.endpoints.end()) continue;  // a literal that was changed, or resolved otherwise meanwhile
    if (!is_observed(row.slot)) endpoint->memory.chosen = row.stored->chosen;
    impl.touch_users(*endpoint->check);

    CheckEntry& check = *endpoint->check;
    const bool is_first_row = counted.insert(&check).second;
    if (is_first_row) {
      check.successes += row.stored->successes;
      check.timeouts += row.stored->timeouts;
      check.connect_errors += row.stored->connect_errors;
      check.response_errors += row.stored->response_errors;
      check.other_errors += row.stored->other_errors;
      const auto success = row.stored->since_success ? MaybeInstant(now - *row.stored->since_success) : MaybeInstant();
      if (success && !check.last_success) check.last_success = success;
    }
    if (check.observed) continue;  // our own eyes are better
    Hysteresis& hysteresis = check.hysteresis(name.config->thresholds);
    if (hysteresis.state() == State::kUnknown) hysteresis.restore(row.stored->state, now);
    if (is_first_row) {
      check.total.restore(row.stored->response_time);
      check.connect.restore(row.stored->connect_time);
      check.last_check = now - row.stored->age;
    }
    impl.book.update_pace(check);
  }
  impl.publish(now);
}

void Directory::doubt_stored(std::uint32_t slot, const table::SlotContent& answered, Instant now) {
  Impl& impl = *impl_;
  if (answered.note == table::Note::kNotReady) return;  // it knew no address
  const bool nothing_was_up = answered.note == table::Note::kFailureMode;
  const NameState& name = impl.names[slot];
  // Of all endpoints in the state `from` that `is_wrong`; true when there were any.
  const auto correct = [&](State from, State to, auto is_wrong) {
    bool any = false;
    for (const Endpoint& endpoint : name.endpoints) {
      Hysteresis& hysteresis = endpoint.check->hysteresis(name.config->thresholds);
      if (hysteresis.state() != from || endpoint.check->observed || !is_wrong(endpoint.address())) continue;
      any = true;
      hysteresis.carry(to, now);
      impl.book.update_pace(*endpoint.check);
      impl.touch_users(*endpoint.check);
    }
    impl.publish(now);
    return any;
  };
  const auto was_shown = [&](const IpAddress& address) { return shows(answered, address); };
  if (!nothing_was_up) correct(State::kDown, State::kUp, was_shown);
  if (name.crew != 0) return;  // who was not shown had another shift
  // What goes makes room for the next, which may be as wrong.
  table::SlotContent content = name.content.content();
  const auto was_not_up = [&](const IpAddress& address) {
    return nothing_was_up || (shows(content, address) && !was_shown(address));
  };
  while (correct(State::kUp, State::kDown, was_not_up)) content = name.content.content();
}

}  // namespace har::health
