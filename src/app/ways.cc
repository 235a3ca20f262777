#include "app/ways.h"

#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

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

// Not every interface has an address of the packet family: a tunnel has none.
unsigned index_of(const char* name, const net::Fd& any_socket) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
  return ioctl(any_socket.get(), SIOCGIFINDEX, &request) == 0 ? static_cast<unsigned>(request.ifr_ifindex) : 0;
}

// Where a process belongs to a VRF its sockets are bound to an interface from the beginning; netlink's are not.
unsigned bound_interface() {
  const net::Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  int index = 0;
  socklen_t size = sizeof index;
  const bool is_known = fd && getsockopt(fd.get(), SOL_SOCKET, SO_BINDTOIFINDEX, &index, &size) == 0;
  return is_known ? static_cast<unsigned>(index) : 0;
}

// The kernel's word on single routes (rtnetlink, RTM_GETROUTE): it answers while it is asked.
class Routes {
 public:
  Routes() : fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)), bound_(bound_interface()) {}

  std::optional<Ways::Way> to(const IpPort& target, const std::vector<InterfaceAddress>& interfaces) {
    if (!ask(target)) return std::nullopt;
    alignas(nlmsghdr) std::array<std::uint8_t, 4096> reply;
    for (;;) {
      const ssize_t size = recv(fd_.get(), reply.data(), reply.size(), MSG_DONTWAIT);
      if (size < static_cast<ssize_t>(sizeof(nlmsghdr))) return std::nullopt;
      nlmsghdr head;
      std::memcpy(&head, reply.data(), sizeof head);
      if (head.nlmsg_seq != serial_ || head.nlmsg_len > static_cast<std::size_t>(size)) continue;
      return read(head.nlmsg_type, target.ip.family, std::span(reply).first(head.nlmsg_len), interfaces);
    }
  }

 private:
  bool ask(const IpPort& target) {
    const std::size_t size = target.ip.size();
    alignas(nlmsghdr) std::array<std::uint8_t, NLMSG_SPACE(sizeof(rtmsg)) + RTA_SPACE(16) + RTA_SPACE(4)> message{};
    std::size_t end = NLMSG_SPACE(sizeof(rtmsg));
    const auto add = [&](unsigned short type, const void* value, std::size_t octets) {
      const rtattr attribute{static_cast<unsigned short>(RTA_LENGTH(octets)), type};
      std::memcpy(message.data() + end, &attribute, sizeof attribute);
      std::memcpy(message.data() + end + RTA_LENGTH(0), value, octets);
      end += RTA_SPACE(octets);
    };
    add(RTA_DST, target.ip.bytes.data(), size);
    const std::uint32_t interface = target.scope != 0 ? target.scope : bound_;
    if (interface != 0) add(RTA_OIF, &interface, sizeof interface);
    rtmsg route{};
    route.rtm_family = target.ip.family == Family::kV4 ? AF_INET : AF_INET6;
    route.rtm_dst_len = static_cast<unsigned char>(size * 8);
    nlmsghdr head{};
    head.nlmsg_len = static_cast<std::uint32_t>(end);
    head.nlmsg_type = RTM_GETROUTE;
    head.nlmsg_flags = NLM_F_REQUEST;
    head.nlmsg_seq = ++serial_;
    std::memcpy(message.data(), &head, sizeof head);
    std::memcpy(message.data() + NLMSG_HDRLEN, &route, sizeof route);
    return fd_ && send(fd_.get(), message.data(), end, 0) == static_cast<ssize_t>(end);
  }

  static std::optional<Ways::Way> read(std::uint16_t type, Family family, std::span<const std::uint8_t> message,
                                       const std::vector<InterfaceAddress>& interfaces) {
    if (type == NLMSG_ERROR && message.size() >= NLMSG_LENGTH(sizeof(int))) {
      int error = 0;
      std::memcpy(&error, message.data() + NLMSG_HDRLEN, sizeof error);
      return means_no_way(-error, family) ? std::optional(Ways::Way{}) : std::nullopt;
    }
    if (type != RTM_NEWROUTE || message.size() < NLMSG_SPACE(sizeof(rtmsg))) return std::nullopt;
    rtmsg route;
    std::memcpy(&route, message.data() + NLMSG_HDRLEN, sizeof route);
    Ways::Way way;
    way.interface = "?";  // until it is known
    way.works = true;     // one that has just gone may still lead somewhere
    way.is_own = route.rtm_type == RTN_LOCAL;
    auto left = message.subspan(NLMSG_SPACE(sizeof(rtmsg)));
    while (left.size() >= sizeof(rtattr)) {
      rtattr attribute;
      std::memcpy(&attribute, left.data(), sizeof attribute);
      if (attribute.rta_len < sizeof attribute || attribute.rta_len > left.size()) break;
      const auto value = left.subspan(RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0));
      if (attribute.rta_type == RTA_PREFSRC) way.source = address_in(value);
      if (attribute.rta_type == RTA_GATEWAY) way.gateway = address_in(value);
      if (attribute.rta_type == RTA_VIA && value.size() > 2) way.gateway = address_in(value.subspan(2));  // its family
      if (attribute.rta_type == RTA_OIF && value.size() == sizeof(unsigned)) leave_by(value, interfaces, way);
      left = left.subspan(std::min<std::size_t>(RTA_ALIGN(attribute.rta_len), left.size()));
    }
    return way;
  }

  // Unreachable, prohibited, a black hole, IPv6 on a host that does not speak it. Other errors say nothing.
  static bool means_no_way(int error, Family family) {
    if (family == Family::kV6 && (error == EOPNOTSUPP || error == EAFNOSUPPORT)) return true;
    return error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES || error == EINVAL;
  }

  static void leave_by(std::span<const std::uint8_t> value, const std::vector<InterfaceAddress>& interfaces,
                       Ways::Way& way) {
    unsigned index = 0;
    std::memcpy(&index, value.data(), sizeof index);
    for (const InterfaceAddress& one : interfaces) {
      if (one.index != index) continue;
      way.interface = one.name;
      way.works = one.works;
    }
  }

  static std::optional<IpAddress> address_in(std::span<const std::uint8_t> value) {
    if (value.size() == 4) return IpAddress::v4(value.data());
    if (value.size() == 16) return IpAddress::v6(value.data());
    return std::nullopt;
  }

  net::Fd fd_;
  const std::uint32_t bound_;
  std::uint32_t serial_ = 0;
};

}  // namespace

std::optional<std::vector<InterfaceAddress>> interface_addresses() {
  const net::Fd any_socket(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifaddrs* list = nullptr;
  if (!any_socket || getifaddrs(&list) != 0) return std::nullopt;
  std::vector<InterfaceAddress> found;
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    // The carrier itself: IFF_RUNNING follows it up to a second later.
    const bool works = (i->ifa_flags & (IFF_UP | kLowerUp)) == (IFF_UP | kLowerUp);
    const auto ip = address_of(i->ifa_addr);
    found.push_back({i->ifa_name, ip, works, ip ? 0 : index_of(i->ifa_name, any_socket)});
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
  Routes routes;
  for (const IpPort& target : targets) found.emplace(target, routes.to(target, interfaces));
  return found;
}

void Ways::set(const Found& found) {
  std::map<IpPort, Way> ways;
  bool any_away = false, any_works = false;
  for (const auto& [target, now] : found) {
    const auto before = ways_.find(target);
    const bool is_known = before != ways_.end();
    if (!now && !is_known) any_works = true;  // that there is none must be known
    if (!now && !is_known) continue;
    const Way& way = now ? *now : before->second;
    has_moved_ |= is_known && before->second != way;
    used_.insert(way.interface);
    any_away |= !way.is_own;
    any_works |= !way.is_own && way.works;
    ways.emplace(target, way);
  }
  is_usable_ = any_works || !any_away;
  ways_ = std::move(ways);
}

bool Ways::take_concern(const NetworkChange& change) {
  bool is_concerned = std::exchange(has_moved_, false) || change.is_everything;
  for (const std::string& name : change.interfaces) is_concerned |= used_.contains(name);
  used_.clear();
  for (const auto& [target, way] : ways_) used_.insert(way.interface);
  return is_concerned;
}

}  // namespace har::app
