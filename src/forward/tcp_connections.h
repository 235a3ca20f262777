// TCP connections towards the upstreams, kept for the next query. Queries of different clients share one only once it
// has shown that it can be shared: it brought a reply while an earlier query was outstanding on it. Many upstreams work
// a connection off in order, where one slow name would hold all others back, or close it after an answer, which would
// lose the others. Whom a query goes to, the first that there is of:
//   an idle connection; one that can be shared and has less than 32 outstanding; a new one, up to 16 to an upstream;
//   the least loaded of these.
// One is closed when nothing was outstanding on it for idle_timeout. Knows nothing of queries but the two octets of
// length and the ID. Source: SEMANTICS "Forwarding"; RFC 7766.  Thread: one worker.  Tested by: forwarder_tcp_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "forward/pending.h"
#include "forward/random.h"
#include "net/fd.h"
#include "net/loop.h"
#include "upstream/places.h"

namespace har::forward {

class TcpConnections {
 public:
  using Received = std::function<void(std::uint32_t channel, std::span<std::uint8_t> message)>;
  // The connection is gone; its tries are still linked and must be unlinked by the callee. `kept`: it had brought a
  // reply before, so that its end says nothing of the upstream.
  using Broken = std::function<void(std::uint32_t channel, upstream::Place place, bool kept)>;
  using Served = std::function<void()>;

  TcpConnections(net::Loop& loop, Pending& pending, Random& random, Received received, Broken broken, Served served);

  void set_upstream(upstream::Place place, const IpPort& address);
  // As UdpSockets::send(). `fresh`: on a connection that nobody has used before, for which an idle one makes room;
  // where all are busy, with as few others as can be. Failures of a connection are told from the loop, never from
  // inside.
  bool send(upstream::Place place, std::span<std::uint8_t> query, std::uint32_t ref, Instant now, bool fresh = false);

  // A query has its reply while one that was sent before it is outstanding.
  void answered_out_of_order(std::uint32_t channel);
  // A try on it had no reply: takes no new queries if nothing at all came on it since `sent`, or if the upstream
  // perhaps works it off in order and is still at that.
  void doubt(std::uint32_t channel, Instant sent);
  void retire_all(upstream::Place place);
  void close_if_done(std::uint32_t channel);
  void sweep(Instant now, Duration idle_timeout);
  std::size_t open() const { return open_; }

 private:
  static constexpr std::uint32_t kShareUpTo = 32;
  static constexpr std::uint32_t kMaxConnections = 16;  // to one upstream, beside the retired ones
  static constexpr std::size_t kMaxQueued = 256 * 1024;
  static constexpr std::size_t kBuffer = 2 + 65'535;
  struct Connection {
    net::Fd fd;
    std::optional<net::Watch> watch;
    upstream::Place place = 0;
    bool connecting = true;
    bool gone = false;       // broken; only its tries are still being looked after
    bool shareable = false;  // it brought a reply out of order
    std::uint32_t channel = kNone;
    std::uint64_t serial = 0;  // its memory and place are used again
    std::uint64_t replies = 0;
    Instant last_in{};   // when the last octet came, or when it was opened
    Instant last_use{};  // when the last query was sent or the last reply came
    std::vector<std::uint8_t> out;
    std::size_t out_done = 0;
    std::unique_ptr<std::uint8_t[]> in;
    std::size_t in_size = 0;
  };

  std::uint32_t connection_for(upstream::Place place, Instant now, bool fresh);
  std::uint32_t open_connection(upstream::Place place, Instant now);
  bool is_retired(const Connection& c) { return pending_.channel(c.channel).retired; }
  void ready(std::uint32_t index, net::Watch::Interest what);
  bool read(std::uint32_t index);   // false: broken or closed
  bool flush(std::uint32_t index);  // false: broken
  void break_off(std::uint32_t index);
  void close(std::uint32_t index);

  // fixed after construction
  net::Loop& loop_;
  Pending& pending_;
  Random& random_;
  Received received_;
  Broken broken_;
  Served served_;
  // owned by this thread
  std::array<IpPort, upstream::kMaxPlaces> addresses_{};
  std::vector<std::unique_ptr<Connection>> connections_;  // empty places are used again
  std::size_t open_ = 0;
  std::uint64_t serial_ = 0;
};

}  // namespace har::forward
