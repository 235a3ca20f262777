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

// The attempt itself. The owner waits until the socket can be written.
class TcpAttempt {
 public:
  // 0: it is under way. Else the errno that ended it at once.
  int start(const IpPort& endpoint);
  int fd() const { return socket_.get(); }
  // The socket can be written: 0, it is connected; or the errno that ended the attempt.
  int end();

  // After success.
  net::Fd take_socket() { return std::move(socket_); }
  Duration rtt() const { return rtt_; }  // of the handshake, as the kernel saw it: our own loop's lateness is not in it

 private:
  net::Fd socket_;
  Duration rtt_{};
};

// The attempt with the waiting.
class TcpProbe {
 public:
  // `error` is 0 or an errno. Never called from inside start(). May destroy the probe.
  using Done = std::function<void(int error)>;

  explicit TcpProbe(Done done) : done_(std::move(done)) {}

  // 0: it is under way and `done` will come, unless the probe is destroyed before. Else the errno that ended it at
  // once.
  int start(net::Loop& loop, const IpPort& endpoint);
  net::Fd take_socket() { return attempt_.take_socket(); }

 private:
  void look();

  Done done_;
  TcpAttempt attempt_;
  std::optional<net::Watch> watch_;  // behind the socket: destroyed before it
};

}  // namespace har::probe
