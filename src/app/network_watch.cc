#include "app/network_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/clock.h"

namespace har::app {
namespace {

constexpr Duration kSettle = std::chrono::milliseconds(50);
constexpr int kDatagramsPerTurn = 64;

IpPrefix route_of(const rtmsg& route, std::span<const std::uint8_t> attributes) {
  IpPrefix to{{route.rtm_family == AF_INET6 ? Family::kV6 : Family::kV4, {}}, route.rtm_dst_len};
  to.length = std::min<std::uint8_t>(to.length, static_cast<std::uint8_t>(to.ip.size() * 8));
  while (attributes.size() >= sizeof(rtattr)) {
    rtattr head;
    std::memcpy(&head, attributes.data(), sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > attributes.size()) break;
    if (head.rta_type == RTA_DST && head.rta_len >= RTA_LENGTH(to.ip.size())) {
      std::memcpy(to.ip.bytes.data(), attributes.data() + RTA_LENGTH(0), to.ip.size());
    }
    attributes = attributes.subspan(std::min<std::size_t>(RTA_ALIGN(head.rta_len), attributes.size()));
  }
  return to;  // without RTA_DST: to everywhere
}

}  // namespace

void NetlinkNews::add_route(const IpPrefix& route) {
  if (is_everything) return;
  if (std::find(routes.begin(), routes.end(), route) != routes.end()) return;
  if (routes.size() < kMostRoutes) {
    routes.push_back(route);
  } else {
    is_everything = true;
  }
}

void read_netlink(std::span<const std::uint8_t> datagram, NetlinkNews& news) {
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
        if (head.nlmsg_len < NLMSG_SPACE(sizeof route)) break;
        std::memcpy(&route, datagram.data() + NLMSG_HDRLEN, sizeof route);
        const bool own = (route.rtm_flags & RTM_F_CLONED) != 0 || route.rtm_table == RT_TABLE_LOCAL ||
                         route.rtm_type == RTN_LOCAL || route.rtm_type == RTN_BROADCAST ||
                         route.rtm_type == RTN_ANYCAST || route.rtm_type == RTN_MULTICAST;
        const auto attributes = datagram.subspan(NLMSG_SPACE(sizeof route), head.nlmsg_len - NLMSG_SPACE(sizeof route));
        if (!own) news.add_route(route_of(route, attributes));
        break;
      }
      default:
        break;
    }
    datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), datagram.size()));
  }
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
      interfaces_(interface_addresses()),
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
    if (size < 0) {  // what did not fit is lost: then anything may be another
      news_.links = news_.is_everything = true;
    } else {
      read_netlink({buffer, static_cast<std::size_t>(size)}, news_);
    }
  }
  if (news_ != NetlinkNews{} && !settle_.is_set()) settle_.set(kSettle);
}

void NetworkWatch::look() {
  NetlinkNews news = std::exchange(news_, {});
  NetworkChange change;
  if (news.links) {
    // Addresses are announced again whenever a router renews them: only what is another counts.
    auto now = interface_addresses();
    change.interfaces = changed_interfaces(interfaces_, now);
    interfaces_ = std::move(now);
  }
  change.is_everything = news.is_everything;
  change.routes = std::move(news.routes);
  if (!change.interfaces.empty()) {
    change.what = "links";
  } else if (!change.routes.empty() || change.is_everything) {
    change.what = "routes";
  }
  changed_(change);
}

void NetworkWatch::look_at_clocks() {
  const WakeSign::What what = wake_sign_.look(net::now(), net::boot_now());
  clocks_.set(WakeSign::kInterval);
  if (what == WakeSign::What::kNothing) return;
  changed_({what == WakeSign::What::kResumed ? "resumed" : "stopped", {}, {}, true});
}

}  // namespace har::app
