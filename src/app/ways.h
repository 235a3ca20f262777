// The ways that packets take from this host to endpoints and upstreams: through which interface and gateway, from which
// address. Says whether there is one that works, and whether a change of the host's network concerns any of them: a
// container that starts beside us changes links, addresses and routes all day, and none of ours.
// Of a bond, a bridge or a VLAN only its own carrier is seen, not the links below it.
// Thread: the control thread.  Tested by: ways_test.cc, tests/e2e/test_network.py
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"

namespace har::app {

struct InterfaceAddress {
  std::string name;
  std::optional<IpAddress> ip;  // none: the interface itself
  bool works = false;           // up, with a carrier
  unsigned index = 0;           // of the interface itself
  auto operator<=>(const InterfaceAddress&) const = default;
};
std::optional<std::vector<InterfaceAddress>> interface_addresses();  // none: it cannot be told
// The names of those that are not the same in both, in any order.
std::set<std::string> changed_interfaces(const std::vector<InterfaceAddress>& before,
                                         const std::vector<InterfaceAddress>& after);

struct NetworkChange {
  std::string_view what;             // "links", "routes", "resumed", "stopped"; empty: nothing that anybody can name
  std::set<std::string> interfaces;  // whose state or addresses are another
  bool is_everything = false;        // a sleep
};

class Ways {
 public:
  struct Way {
    std::string interface;  // empty: there is no way
    std::optional<IpAddress> source, gateway;
    bool works = false;
    bool is_own = false;  // to an address of this host
    bool operator==(const Way&) const = default;
  };
  using Found = std::map<IpPort, std::optional<Way>>;  // none: it cannot be told

  // Asks the kernel: a few us for each target, nothing is sent.
  static Found find(std::span<const IpPort> targets, const std::vector<InterfaceAddress>& interfaces);

  void set(const Found& found);  // what cannot be told is as it was
  // Whether a packet to one of them would leave by an interface that works. True where none is another host's.
  bool is_usable() const { return is_usable_; }
  // Whether `change`, or what has become another from set() to set() since the last call, concerns any of them.
  bool take_concern(const NetworkChange& change);

 private:
  std::map<IpPort, Way> ways_;
  std::set<std::string> used_;  // interfaces, by any way since the last take_concern()
  bool has_moved_ = false;
  bool is_usable_ = true;
};

}  // namespace har::app
