// One TCP connection attempt: the whole of a TCP check, and the beginning of an HTTP one.
// Not for: the timeout (the prober's).  Thread: the control thread.  Tested by: tcp_probe_test.cc
#pragma once

#include <functional>
#include <optional>

#include "base/ip.h"
#include "base/time.h"
#include "net/fd.h"
#include "net/loop.h"

namespace har::probe {

class TcpProbe {
 public:
  // `error` is 0 or an errno. Never called from inside start(). May destroy the probe.
  using Done = std::function<void(int error)>;

  explicit TcpProbe(Done done) : done_(std::move(done)) {}

  // 0: it is under way and `done` will come, unless the probe is destroyed before. Else the errno that ended it at
  // once.
  int start(net::Loop& loop, const IpPort& endpoint);

  // After success.
  net::Fd take_socket() { return std::move(socket_); }
  Duration rtt() const { return rtt_; }  // of the handshake, as the kernel saw it: our own loop's lateness is not in it

 private:
  void look();

  Done done_;
  net::Fd socket_;
  std::optional<net::Watch> watch_;  // behind socket_: destroyed before it
  Duration rtt_{};
};

}  // namespace har::probe
