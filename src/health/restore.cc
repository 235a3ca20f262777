// Directory: what the store kept from before a restart.
#include <algorithm>

#include "health/directory_impl.h"

namespace har::health {

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

  // A stored choice stands against the one that configure() made from nothing.
  for (const Row& row : rows) {
    if (!row.stored->chosen) continue;
    for (Endpoint& endpoint : impl.names[row.slot].endpoints) {
      if (endpoint.address().family == row.stored->address.family) endpoint.memory.chosen = false;
    }
  }
  for (const Row& row : rows) {
    NameState& name = impl.names[row.slot];
    const auto endpoint = std::find_if(name.endpoints.begin(), name.endpoints.end(), [&](const Endpoint& e) {
      return e.candidate == row.candidate && e.address() == row.stored->address;
    });
    if (endpoint == name.endpoints.end()) continue;  // a literal that was changed, or resolved otherwise meanwhile
    endpoint->memory.chosen = row.stored->chosen;
    impl.touch_users(*endpoint->check);

    CheckEntry& check = *endpoint->check;
    if (check.observed) continue;  // our own eyes are better
    Hysteresis& hysteresis = check.hysteresis(name.config->thresholds);
    if (hysteresis.state() == State::kUnknown) hysteresis.restore(row.stored->state, now);
    if (!check.last_check) {  // several names may share the check: the first row speaks for it
      check.total.restore(row.stored->response_time);
      check.connect.restore(row.stored->connect_time);
      check.successes = row.stored->successes;
      check.timeouts = row.stored->timeouts;
      check.connect_errors = row.stored->connect_errors;
      check.response_errors = row.stored->response_errors;
      check.other_errors = row.stored->other_errors;
      check.last_check = now - row.stored->age;
      if (row.stored->since_success) check.last_success = now - *row.stored->since_success;
    }
    impl.book.update_pace(check);
  }
  impl.publish(now);
}

}  // namespace har::health
