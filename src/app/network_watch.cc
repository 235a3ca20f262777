#include "app/network_watch.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "net/clock.h"
#include "net/sockaddr.h"

namespace har::app {
namespace {

constexpr Duration kSettle = std::chrono::milliseconds(50);
constexpr int kDatagramsPerTurn = 64;
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

struct InterfaceAddress {
  std::string name;
  std::optional<IpAddress> ip;  // none: the interface itself
  bool works = false;           // up, with a carrier
};

std::vector<InterfaceAddress> interfaces() {
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

// By the source address that the kernel would choose: connecting a UDP socket sends nothing.
bool has_way(const IpPort& target, const std::vector<InterfaceAddress>& known) {
  const net::SocketAddress to(target);
  const net::Fd fd(socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;  // says nothing
  if (connect(fd.get(), &to.generic, to.size()) != 0) return false;
  net::SocketAddress source;
  socklen_t size = sizeof source;
  if (getsockname(fd.get(), &source.generic, &size) != 0) return true;
  const IpAddress ip = source.to_ip_port().ip;
  bool is_known = false;
  for (const InterfaceAddress& address : known) {
    if (address.ip != ip) continue;
    if (address.works) return true;
    is_known = true;
  }
  return !is_known;
}

}  // namespace

NetlinkNews read_netlink(std::span<const std::uint8_t> datagram) {
  NetlinkNews news;
  while (datagram.size() >= sizeof(nlmsghdr)) {
    nlmsghdr head;
    std::memcpy(&head, datagram.data(), sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > datagram.size()) break;
    switch (head.nlmsg_type) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
      case RTM_NEWADDR:
      case RTM_DELADDR:
        news.links = true;
        break;
      case RTM_NEWROUTE:
      case RTM_DELROUTE: {
        rtmsg route{};
        if (head.nlmsg_len < NLMSG_HDRLEN + sizeof route) break;
        std::memcpy(&route, datagram.data() + NLMSG_HDRLEN, sizeof route);
        const bool own = (route.rtm_flags & RTM_F_CLONED) != 0 || route.rtm_table == RT_TABLE_LOCAL ||
                         route.rtm_type == RTN_LOCAL || route.rtm_type == RTN_BROADCAST ||
                         route.rtm_type == RTN_ANYCAST || route.rtm_type == RTN_MULTICAST;
        if (!own) news.routes = true;
        break;
      }
      default:
        break;
    }
    datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), datagram.size()));
  }
  return news;
}

WakeSign::What WakeSign::look(Instant monotonic, Instant boot) {
  const Duration passed = monotonic - std::exchange(monotonic_, monotonic);
  const Duration slept = boot - std::exchange(boot_, boot) - passed;
  if (std::exchange(first_, false)) return What::kNothing;
  if (slept > kLeastSleep) return What::kResumed;
  return passed > kInterval + kLeastStop ? What::kStopped : What::kNothing;
}

NetworkWatch::NetworkWatch(net::Loop& loop, const Log& log, Changed changed)
    : log_(log),
      changed_(std::move(changed)),
      signature_(signature()),
      settle_(loop, [this] { look(); }),
      clocks_(loop, [this] { look_at_clocks(); }) {
  open_netlink();
  if (netlink_) {
    watch_ =
        std::make_unique<net::Watch>(loop, netlink_.get(), net::Watch::kRead, [this](net::Watch::Interest) { read(); });
  }
  look_at_clocks();
}

void NetworkWatch::open_netlink() {
  net::Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0) {
    log_.warning("network_not_followed", {{"reason", strerrordesc_np(errno)}});
    return;
  }
  netlink_ = std::move(fd);
}

void NetworkWatch::read() {
  alignas(nlmsghdr) std::uint8_t buffer[32 * 1024];
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    const ssize_t size = recv(netlink_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size < 0 && errno != ENOBUFS) {
      log_.warning("network_not_followed", {{"reason", strerrordesc_np(errno)}});
      watch_.reset();
      break;
    }
    // What did not fit is lost: then anything may be another.
    const NetlinkNews news =
        size < 0 ? NetlinkNews{true, true} : read_netlink({buffer, static_cast<std::size_t>(size)});
    news_.links |= news.links;
    news_.routes |= news.routes;
  }
  if (news_ != NetlinkNews{} && !settle_.is_set()) settle_.set(kSettle);
}

void NetworkWatch::look() {
  const NetlinkNews news = std::exchange(news_, {});
  // Addresses are announced again whenever a router renews them: only what is another counts.
  const bool others = news.links && std::exchange(signature_, signature()) != signature_;
  changed_(others ? "links" : news.routes ? "routes" : "");
}

void NetworkWatch::look_at_clocks() {
  const WakeSign::What what = wake_sign_.look(net::now(), net::boot_now());
  clocks_.set(WakeSign::kInterval);
  if (what != WakeSign::What::kNothing) changed_(what == WakeSign::What::kResumed ? "resumed" : "stopped");
}

bool NetworkWatch::has_way_to_any(std::span<const IpPort> targets) {
  if (targets.empty()) return true;
  const auto known = interfaces();
  return std::any_of(targets.begin(), targets.end(), [&](const IpPort& target) { return has_way(target, known); });
}

std::vector<IpAddress> NetworkWatch::own_addresses() {
  std::vector<IpAddress> own;
  for (const InterfaceAddress& address : interfaces()) {
    if (address.ip && !address.ip->is_loopback()) own.push_back(*address.ip);
  }
  return own;
}

std::string NetworkWatch::signature() {
  std::set<std::string> lines;
  for (const InterfaceAddress& i : interfaces()) {
    lines.insert(fmt::format("{} {} {}", i.name, i.works, i.ip ? i.ip->to_string() : ""));
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace har::app
