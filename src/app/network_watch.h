// What becomes of this host's own network: follows links, addresses and routes (rtnetlink) and sleep. Decides nothing:
// see app/ways.h and health/isolation.h.
// Thread: the control thread.  Tested by: network_watch_test.cc, tests/e2e/test_network.py
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "app/ways.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/time.h"
#include "net/fd.h"
#include "net/loop.h"

namespace har::app {

// What an rtnetlink datagram tells of: only whether to look again, never what there is to see.
struct NetlinkNews {
  bool links = false;   // links or addresses: getifaddrs() says whether anything is another
  bool routes = false;  // a route that was not merely made for an address or a multicast group
  bool rules = false;   // of policy routing
  bool operator==(const NetlinkNews&) const = default;
};
NetlinkNews read_netlink(std::span<const std::uint8_t> datagram);

// Tells a sleep of the machine, during which CLOCK_MONOTONIC stood still, and a stop of this process from a busy hour.
class WakeSign {
 public:
  enum class What : std::uint8_t { kNothing, kResumed, kStopped };
  static constexpr Duration kInterval = std::chrono::milliseconds(200);
  static constexpr Duration kLeastSleep = std::chrono::milliseconds(100);
  static constexpr Duration kLeastStop = std::chrono::seconds(5);
  // Called every kInterval; `boot`: CLOCK_BOOTTIME.
  What look(Instant monotonic, Instant boot);

 private:
  bool first_ = true;
  Instant monotonic_{}, boot_{};
};

class NetworkWatch {
 public:
  // Something is another, or nothing (an empty `what`) but it may be worth a look at the ways. From the loop only.
  using Changed = std::function<void(const NetworkChange&)>;

  NetworkWatch(net::Loop& loop, const Log& log, Changed changed);

 private:
  void open_netlink();
  void read();
  void look();
  void look_at_clocks();

  // fixed after construction
  const Log& log_;
  Changed changed_;
  // owned by the control thread
  net::Fd netlink_;
  std::unique_ptr<net::Watch> watch_;
  NetlinkNews news_;
  std::vector<InterfaceAddress> interfaces_;  // as last seen
  WakeSign wake_sign_;
  net::Timer settle_;  // several messages of one change are one look
  net::Timer clocks_;
};

}  // namespace har::app
