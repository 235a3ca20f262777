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
      case RTM_NEWRULE:
      case RTM_DELRULE:
        news.rules = true;
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
      interfaces_(interface_addresses().value_or(std::vector<InterfaceAddress>{})),
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
  groups.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
                     RTMGRP_IPV4_RULE | 1U << (RTNLGRP_IPV6_RULE - 1);
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
        size < 0 ? NetlinkNews{true, true, true} : read_netlink({buffer, static_cast<std::size_t>(size)});
    news_.links |= news.links;
    news_.routes |= news.routes;
    news_.rules |= news.rules;
  }
  if (news_ != NetlinkNews{} && !settle_.is_set()) settle_.set(kSettle);
}

void NetworkWatch::look() {
  const NetlinkNews news = std::exchange(news_, {});
  NetworkChange change;
  if (news.links) {
    // Addresses are announced again whenever a router renews them: only what is another counts.
    if (auto now = interface_addresses()) {
      change.interfaces = changed_interfaces(interfaces_, *now);
      interfaces_ = std::move(*now);
    }
  }
  change.what = !change.interfaces.empty() ? "links" : news.routes || news.rules ? "routes" : "";
  changed_(change);
}

void NetworkWatch::look_at_clocks() {
  const WakeSign::What what = wake_sign_.look(net::now(), net::boot_now());
  clocks_.set(WakeSign::kInterval);
  if (what == WakeSign::What::kNothing) return;
  changed_({what == WakeSign::What::kResumed ? "resumed" : "stopped", {}, true});
}

}  // namespace har::app
