// TCP towards clients (RFC 7766): framing, pipelining, replies in any order, limits, idle time.
// Knows nothing of DNS but the two octets of length.  Thread: one worker.  Tested by: tcp_front_test.cc,
// tests/fuzz/tcp_fuzz.cc
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "net/asker.h"
#include "net/fd.h"
#include "net/loop.h"

namespace har::front {

class TcpFront {
 public:
  struct Limits {
    // Counted from the accept, the last whole message that came or the last reply that went, whichever was latest: a
    // client that trickles octets does not prolong it. A connection that waits for a reply of ours is not idle; one
    // that does not take its replies is.
    Duration idle_timeout = std::chrono::seconds(10);
    std::uint32_t max_connections = 12'000;  // of this worker; one more closes the longest idle one
    std::uint32_t max_in_flight = 128;       // queries of one connection without a reply: then reading pauses
  };
  enum class Outcome {
    kReply,  // `size` octets in `out` (>= 4096)
    kLater,  // send() will follow
    kDrop,   // no reply
    kEnd,    // no reply, and nothing more of this connection is read; it ends after what is queued
  };
  struct Answer {
    Outcome outcome = Outcome::kDrop;
    std::size_t size = 0;
  };
  using Handler = std::function<Answer(std::span<const std::uint8_t> message, const net::Asker& asker,
                                       std::span<std::uint8_t> out)>;
  // Asked once a connection; false: closed at once. `from_here`: as in Asker.
  using Admit = std::function<bool(const IpAddress& client, bool from_here)>;

  TcpFront(net::Loop& loop, Limits limits, Admit admit, Handler handler);
  ~TcpFront();

  // The listeners to serve from now on (non-blocking; shared with other workers: one of them gets the connection, the
  // others' accept finds nothing. EPOLLEXCLUSIVE does not reach through libevent, and in an epoll nested in libevent's
  // it woke as many workers as without, measured). Duplicates of a listener already served (same cookie) are dropped;
  // those not among them any more are emptied and closed, their connections stay until they end by themselves. Not from
  // inside the handler.
  void serve(std::vector<net::Fd> listeners);
  void set_limits(Limits limits);

  // A reply that became ready later; ends one in-flight query. Ignored when the connection is gone. `last` = false:
  // more messages of the same query follow (a zone transfer).
  void send(const net::Asker& asker, std::span<const std::uint8_t> reply, bool last = true);
  // The query will get no reply (its relay broke): ends one in-flight query and closes the connection after what is
  // queued.
  void abandon(const net::Asker& asker);
  // Octets queued to this asker and not yet taken by the kernel: a relay pauses its source beyond 256 KiB. None: it has
  // left, or what is sent to it is thrown away.
  std::optional<std::size_t> backlog(const net::Asker& asker) const;
  std::size_t connections() const;

  struct Stats {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;          // by `admit`
    std::uint64_t closed_for_room = 0;  // the longest idle one, for a new one
    std::uint64_t closed_idle = 0;
  };
  const Stats& stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace har::front
