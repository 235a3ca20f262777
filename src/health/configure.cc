// Directory: the configuration and the addresses of hosts become endpoints and checks.
#include <algorithm>

#include "base/assert.h"
#include "health/directory_impl.h"

namespace har::health {
namespace {

constexpr std::size_t kMaxAddressesOfHost = 64;

const Endpoint* find_endpoint(const NameState& name, std::string_view title, const IpAddress& address) {
  for (const Endpoint& endpoint : name.endpoints) {
    if (endpoint.address() == address && name.config->candidates[endpoint.candidate].title == title) return &endpoint;
  }
  return nullptr;
}

}  // namespace

void Directory::Impl::configure(std::shared_ptr<const config::Config> new_config, Instant now) {
  HAR_ASSERT(new_config != nullptr);
  const std::shared_ptr<const config::Config> old_config = std::move(config);  // the old names point into it
  std::vector<NameState> old_names = std::move(names);
  const std::unordered_map<std::string_view, std::uint32_t> old_slots = std::move(slots);
  config = std::move(new_config);
  names.assign(config->names.size(), NameState{});
  slots.clear();
  due.clear();
  queue.clear();
  changed_slots.clear();
  shifted_slots.clear();
  taking_shifts = 0;

  std::unordered_map<std::string, HostState> old_hosts = std::move(hosts);
  hosts.clear();
  hosts_not_attempted = 0;
  for (std::uint32_t slot = 0; slot < names.size(); ++slot) {
    slots.emplace(config->names[slot].host, slot);
    for (const config::Candidate& candidate : config->names[slot].candidates) {
      if (IpAddress::parse(candidate.check->host)) continue;
      const auto [it, fresh] = hosts.try_emplace(candidate.check->host);
      HostState& host = it->second;
      if (fresh) {
        if (const auto old = old_hosts.find(candidate.check->host); old != old_hosts.end()) {
          host = std::move(old->second);
          host.slots.clear();
        }
        host.frequency = candidate.check->frequency;
        if (!host.attempted) ++hosts_not_attempted;
      }
      host.frequency = std::min(host.frequency, candidate.check->frequency);
      if (host.slots.empty() || *(host.slots.end() - 1) != slot) host.slots.push_back(slot);
    }
  }

  book.begin_rebuild();
  for (std::uint32_t slot = 0; slot < names.size(); ++slot) {
    NameState& name = names[slot];
    name.config = &config->names[slot];
    const auto old_slot = old_slots.find(name.config->host);
    const NameState* old = old_slot == old_slots.end() ? nullptr : &old_names[old_slot->second];
    if (old != nullptr) {
      name.content = old->content;
      name.crew = old->crew;
      if (name.crew != 0) ++taking_shifts;
      name.any_up = old->any_up;
    }
    endpoints.clear();
    for (std::uint32_t c = 0; c < name.config->candidates.size(); ++c) {
      const config::Candidate& candidate = name.config->candidates[c];
      for (std::size_t i = 0; old != nullptr && i < old->drained.size(); ++i) {
        if (old->config->candidates[old->drained[i]].title == candidate.title) name.set_drained(c, true);
      }
      const std::optional<IpAddress> literal = IpAddress::parse(candidate.check->host);
      const std::vector<IpAddress> one = literal ? std::vector{*literal} : std::vector<IpAddress>{};
      for (const IpAddress& address : literal ? one : hosts.at(candidate.check->host).addresses) {
        const Endpoint* before = old == nullptr ? nullptr : find_endpoint(*old, candidate.title, address);
        Endpoint endpoint;
        endpoint.candidate = c;
        endpoint.check = book.acquire(candidate.check, address, name.config->thresholds, slot,
                                      before == nullptr ? nullptr : before->check,
                                      before == nullptr ? nullptr : &old->config->thresholds, now);
        if (before != nullptr) endpoint.memory = before->memory;
        endpoints.push_back(endpoint);
      }
    }
    name.endpoints.assign(endpoints.begin(), endpoints.end());
    find_same_addresses(name.endpoints);
    touch(slot);
    // The table is a new one: every slot is to be written.
    name.changed = true;
    changed_slots.push_back(slot);
  }
  book.end_rebuild();
  publish(now);
}

// Gives the host's candidates these addresses: endpoints that stay keep everything, new ones are unknown.
void Directory::Impl::set_addresses(HostState& host, std::vector<IpAddress> addresses, Instant now) {
  if (addresses.size() > kMaxAddressesOfHost) addresses.resize(kMaxAddressesOfHost);
  // An upstream rotates the records of its answers: the order inside a candidate must not depend on that.
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  if (addresses == host.addresses) return;
  host.addresses = std::move(addresses);
  for (const std::uint32_t slot : host.slots) rebuild_endpoints(slot, now);
}

void Directory::Impl::rebuild_endpoints(std::uint32_t slot, Instant now) {
  NameState& name = names[slot];
  const std::vector<Endpoint>& old = name.endpoints;
  endpoints.clear();
  std::size_t next = 0;  // both lists are sorted by candidate and address
  const auto drop = [&](const Endpoint& endpoint) {
    const State state = endpoint.check->hysteresis(name.config->thresholds).state();
    if (state != State::kUnknown) {
      events.push_back({EventKind::kState, name.config->host, name.config->candidates[endpoint.candidate].title,
                        endpoint.address(), std::string(word(state)), std::string(word(State::kUnknown)),
                        "address withdrawn", slot});
    }
    book.release(endpoint.check, name.config->thresholds, slot);
  };
  const auto before = [](const Endpoint& a, std::uint32_t candidate, const IpAddress& address) {
    return a.candidate != candidate ? a.candidate < candidate : a.address() < address;
  };
  for (std::uint32_t c = 0; c < name.config->candidates.size(); ++c) {
    const config::Candidate& candidate = name.config->candidates[c];
    const auto host = hosts.find(candidate.check->host);
    if (host == hosts.end()) {  // a literal: as it was
      while (next < old.size() && old[next].candidate <= c) endpoints.push_back(old[next++]);
      continue;
    }
    for (const IpAddress& address : host->second.addresses) {
      while (next < old.size() && before(old[next], c, address)) drop(old[next++]);
      if (next < old.size() && old[next].candidate == c && old[next].address() == address) {
        endpoints.push_back(old[next++]);
        continue;
      }
      Endpoint endpoint;
      endpoint.candidate = c;
      endpoint.check = book.acquire(candidate.check, address, name.config->thresholds, slot, nullptr, nullptr, now);
      endpoints.push_back(endpoint);
    }
    while (next < old.size() && old[next].candidate <= c) drop(old[next++]);
  }
  name.endpoints.assign(endpoints.begin(), endpoints.end());
  find_same_addresses(name.endpoints);
  touch(slot);
}

}  // namespace har::health
