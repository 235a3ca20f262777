#include "app/ways.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "health/isolation.h"
#include "net/fd.h"
#include "net/sockaddr.h"

namespace har::app {
namespace {

constexpr unsigned kLowerUp = 1U << 16;  // IFF_LOWER_UP, which <net/if.h> lacks and <linux/if.h> may not be beside it

std::optional<IpAddress> address_of(const sockaddr* from) {
  net::SocketAddress address;
  if (from == nullptr) return std::nullopt;
  if (from->sa_family == AF_INET) {
    std::memcpy(&address.v4, from, sizeof address.v4);
  } else if (from->sa_family == AF_INET6) {
    std::memcpy(&address.v6, from, sizeof address.v6);
  } else {
    return std::nullopt;
  }
  return address.to_ip_port().ip;
}

// Connecting a UDP socket sends nothing.
std::optional<Ways::Way> way_to(const IpPort& target, const std::vector<InterfaceAddress>& interfaces) {
  const net::SocketAddress to(target);
  const net::Fd fd(socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) return std::nullopt;
  if (!fd || connect(fd.get(), &to.generic, to.size()) != 0) return Ways::Way{};
  net::SocketAddress source;
  socklen_t size = sizeof source;
  if (getsockname(fd.get(), &source.generic, &size) != 0) return std::nullopt;
  Ways::Way way{"", source.to_ip_port().ip, true};  // an address that nobody has may still lead somewhere
  for (const InterfaceAddress& has : interfaces) {
    if (has.ip != way.source) continue;
    way.interface = has.name;
    way.works = has.works;
    if (has.works) break;
  }
  return way;
}

bool overlap(const IpPrefix& a, const IpPrefix& b) {
  return a.length <= b.length ? a.contains(b.ip) : b.contains(a.ip);
}

}  // namespace

std::vector<InterfaceAddress> interface_addresses() {
  std::vector<InterfaceAddress> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return found;
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    // The carrier itself: IFF_RUNNING follows it up to a second later.
    const bool works = (i->ifa_flags & (IFF_UP | kLowerUp)) == (IFF_UP | kLowerUp);
    found.push_back({i->ifa_name, address_of(i->ifa_addr), works});
  }
  freeifaddrs(list);
  return found;
}

std::set<std::string> changed_interfaces(const std::vector<InterfaceAddress>& before,
                                         const std::vector<InterfaceAddress>& after) {
  const std::set<InterfaceAddress> a(before.begin(), before.end()), b(after.begin(), after.end());
  std::vector<InterfaceAddress> others;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(others));
  std::set<std::string> names;
  for (InterfaceAddress& other : others) names.insert(std::move(other.name));
  return names;
}

Ways::Found Ways::find(std::span<const IpPort> targets, const std::vector<InterfaceAddress>& interfaces) {
  Found found;
  for (const IpPort& target : targets) found.emplace(target, way_to(target, interfaces));
  return found;
}

void Ways::set(const Found& found) {
  is_usable_ = found.empty() || std::any_of(found.begin(), found.end(),
                                            [](const auto& entry) { return !entry.second || entry.second->works; });
  std::map<IpPort, Way> ways;
  for (const auto& [target, way] : found) {
    const auto before = ways_.find(target);
    const bool is_known = before != ways_.end();
    if (way) {
      has_moved_ |= is_known && before->second != *way;
      used_.insert(way->interface);
      ways.emplace(target, *way);
    } else if (is_known) {
      ways.insert(*before);
    }
  }
  ways_ = std::move(ways);
}

bool Ways::take_concern(const NetworkChange& change) {
  bool is_concerned = std::exchange(has_moved_, false) || change.is_everything;
  for (const std::string& name : change.interfaces) is_concerned |= used_.contains(name);
  for (const auto& [target, way] : ways_) {
    const IpPrefix network = health::network_of(target.ip);
    is_concerned |= std::any_of(change.routes.begin(), change.routes.end(),
                                [&](const IpPrefix& route) { return overlap(route, network); });
  }
  used_.clear();
  for (const auto& [target, way] : ways_) used_.insert(way.interface);
  return is_concerned;
}

}  // namespace har::app
