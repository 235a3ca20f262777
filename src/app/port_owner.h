// Which process holds a port: for the message of a daemon that finds its address taken.
// Thread: any.  Tested by: port_owner_test.cc
#pragma once

#include <optional>
#include <string>

#include "base/ip.h"

namespace har::app {

struct PortOwner {
  int pid = 0;
  std::string name;  // as in /proc/PID/comm
};

// Looks through /proc; absent when nobody is found or the process is not ours to look into.
std::optional<PortOwner> find_port_owner(const IpPort& address);

}  // namespace har::app
