#include "app/listen_set.h"

#include <fmt/format.h>

#include <cerrno>

#include "app/port_owner.h"
#include "net/memory.h"
#include "net/socket.h"

namespace har::app {
namespace {

tl::expected<std::shared_ptr<const Bound>, net::BindError> bind_address(const Prepare::Address& address,
                                                                        std::uint32_t workers) {
  const bool free_bind = !address.optional;
  auto bound = std::make_shared<Bound>();
  bound->at = address.at;
  // Listeners do not share their port: of two daemons that start at once only one gets past this line.
  auto tcp = net::listen_tcp(address.at, {.free_bind = free_bind});
  if (!tcp) return tl::unexpected(tcp.error());
  bound->tcp = std::move(*tcp);
  // UDP sockets do share it, among our workers. A bind that does not share must succeed first: else a second daemon
  // of the same user would quietly take half of the queries.
  if (const auto alone = net::bind_udp(address.at, {.free_bind = free_bind}); !alone) {
    return tl::unexpected(alone.error());
  }
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    auto udp = net::bind_udp(address.at, {.reuse_port = true, .free_bind = free_bind});
    if (!udp) return tl::unexpected(udp.error());
    bound->udp.push_back(std::move(*udp));
  }
  return bound;
}

std::string with_owner(const net::BindError& error, const IpPort& address) {
  if (error.code != EADDRINUSE) return error.message;
  const auto owner = find_port_owner(address);
  if (!owner) return error.message;
  return fmt::format("{} (held by pid {}, {})", error.message, owner->pid, owner->name);
}

bool is_in_the_way(const IpPort& a, const IpPort& b) {
  return a.port == b.port && a.ip.family == b.ip.family && a.ip != b.ip &&
         (a.ip.is_unspecified() || b.ip.is_unspecified());
}

// The address of ours that keeps `wanted` from being bound while it is served: one of them is the wildcard.
const Bound* find_own_in_the_way(const ListenSet* current, const IpPort& wanted) {
  if (current == nullptr) return nullptr;
  for (const auto& held : current->bound) {
    if (is_in_the_way(held->at, wanted)) return held.get();
  }
  return nullptr;
}

}  // namespace

Result<ListenSet> make_listen_set(const Prepare& wanted, const ListenSet* current, const Log& log,
                                  const std::function<bool()>& patience) {
  ListenSet set;
  set.workers = wanted.workers;
  set.names = wanted.names;
  set.user = wanted.user;
  set.log_level = wanted.log_level;
  for (const Prepare::Address& address : wanted.addresses) {
    std::shared_ptr<const Bound> bound;
    if (current != nullptr && current->workers == wanted.workers) {
      for (const auto& held : current->bound) {
        if (held->at == address.at) bound = held;
      }
    }
    while (!bound) {
      auto fresh = bind_address(address, wanted.workers);
      if (fresh) {
        bound = std::move(*fresh);
        break;
      }
      const bool absent = fresh.error().code == EADDRNOTAVAIL || fresh.error().code == EAFNOSUPPORT;
      if (address.optional && absent) break;
      const bool in_use = fresh.error().code == EADDRINUSE;
      if (const Bound* own = in_use ? find_own_in_the_way(current, address.at) : nullptr) {
        return failure(fmt::format("{} (by ourselves, as {}: from an address to the wildcard or back takes a restart)",
                                   fresh.error().message, own->at.to_string()));
      }
      if (in_use && patience()) continue;
      return failure(with_owner(fresh.error(), address.at));
    }
    if (bound) {
      set.bound.push_back(std::move(bound));
    } else {
      log.info("address_skipped", {{"address", address.at.to_string()}, {"reason", "the host does not have it"}});
    }
  }
  if (set.bound.empty()) return failure("no address to listen on");
  auto table = net::make_memory("har-table", wanted.table_bytes);
  if (!table) return tl::unexpected(table.error());
  auto counters = net::make_memory("har-counters", wanted.counter_bytes);
  if (!counters) return tl::unexpected(counters.error());
  set.table = std::move(*table);
  set.counters = std::move(*counters);
  return set;
}

}  // namespace har::app
