#include "app/table_plan.h"

#include <algorithm>

#include "base/assert.h"
#include "dns/name.h"

namespace har::app {

std::vector<Prepare::Address> listen_addresses(const config::Config& config) {
  std::vector<Prepare::Address> out;
  for (const IpAddress& ip : config.dns_bind_interfaces) {
    const bool default_v6 = config.bind_default_v6 && ip.family == Family::kV6 && ip.is_loopback();
    out.push_back({{ip, config.dns_listen_port}, default_v6});
  }
  // A wildcard holds every address of its family, and lets nobody bind one of them beside it.
  std::erase_if(out, [&out](const Prepare::Address& one) {
    return !one.at.ip.is_unspecified() && std::any_of(out.begin(), out.end(), [&one](const Prepare::Address& other) {
      return other.at.ip.is_unspecified() && other.at.ip.family == one.at.ip.family;
    });
  });
  if (out.empty()) {
    out.push_back({{*IpAddress::parse("127.0.0.1"), config.dns_listen_port}, false});
    out.push_back({{*IpAddress::parse("::1"), config.dns_listen_port}, true});
  }
  return out;
}

namespace {

bool is_default_allowed(const config::Config& config) {
  return config.allow_clients.empty() || config.allow_clients_added;
}

// Which those of a wildcard are is known only when one of them asks.
bool are_own_allowed(const config::Config& config) {
  const auto& listened = config.dns_bind_interfaces;
  return is_default_allowed(config) &&
         std::any_of(listened.begin(), listened.end(), [](const IpAddress& ip) { return ip.is_unspecified(); });
}

}  // namespace

std::vector<IpPrefix> allowed_clients(const config::Config& config) {
  std::vector<IpPrefix> out = config.allow_clients;
  if (!is_default_allowed(config)) return out;
  out.push_back(*IpPrefix::parse("127.0.0.0/8"));
  out.push_back(*IpPrefix::parse("::1"));
  for (const IpAddress& ip : config.dns_bind_interfaces) {
    if (!ip.is_loopback() && !ip.is_unspecified()) out.push_back({ip, static_cast<std::uint8_t>(ip.size() * 8)});
  }
  return out;
}

table::Plan table_plan(const config::Config& config, std::uint64_t generation) {
  table::Plan plan;
  for (const auto& name : config.names) {
    auto wire = dns::name_to_wire(name.host);
    HAR_ASSERT(wire);  // config/ has checked it
    plan.names.push_back({std::move(*wire), name.https_records == config::HttpsRecords::kForward});
  }
  plan.allow_clients = allowed_clients(config);
  plan.own_clients = are_own_allowed(config);
  plan.limits = {.max_in_flight = config.max_in_flight,
                 .tcp_max_connections = config.tcp_max_connections,
                 .tcp_max_in_flight = config.tcp_max_in_flight,
                 .tcp_idle_timeout_ns = static_cast<std::uint64_t>(config.tcp_idle_timeout.count()),
                 .resolver_timeout_ns = static_cast<std::uint64_t>(config.resolver_timeout.count()),
                 .state_max_age_ns = static_cast<std::uint64_t>(config.state_max_age.count())};
  plan.generation = generation;
  return plan;
}

std::vector<std::string> host_names(const config::Config& config) {
  std::vector<std::string> names;
  for (const auto& name : config.names) names.push_back(name.host);
  return names;
}

}  // namespace har::app
