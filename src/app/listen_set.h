// The sockets that clients reach, and the shared memory behind them, of one accepted configuration.
// Thread: the keeper's.  Tested by: listen_set_test.cc
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "app/messages.h"
#include "base/log.h"
#include "base/result.h"
#include "net/fd.h"

namespace har::app {

// One address: a UDP socket for each worker (SO_REUSEPORT) and one TCP listener that the workers share.
struct Bound {
  IpPort at;
  std::vector<net::Fd> udp;
  net::Fd tcp;
};

struct ListenSet {
  std::vector<std::shared_ptr<const Bound>> bound;
  net::Fd table, counters;
  std::uint32_t workers = 1;
  std::uint32_t names = 0;
  std::string user;
  LogLevel log_level = LogLevel::kInfo;
};

// Binds what `wanted` asks for and `current` (may be null) does not hold yet; what both have is shared, so that nothing
// queued in a socket is lost. Fails whole: one address that cannot be bound refuses the set. An address in use is tried
// again until `patience` says no (called before each further try; it may wait); the message names the owner's pid.
Result<ListenSet> make_listen_set(const Prepare& wanted, const ListenSet* current, const Log& log,
                                  const std::function<bool()>& patience);

}  // namespace har::app
