// Forwards queries to the upstreams and brings the replies back: sockets and timers round the pure rules of upstream/.
// Source: SEMANTICS "Forwarding"; RFC 5452 (anti-spoofing), RFC 7766 (TCP).
// Thread: one worker.  Tested by: forwarder_test.cc, tests/fuzz/forward_fuzz.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "net/asker.h"
#include "net/loop.h"

namespace har::forward {

struct Options {
  Duration resolver_timeout = std::chrono::seconds(1);  // one try
  Duration total_timeout = std::chrono::seconds(2);
  std::uint32_t max_in_flight = 16'384;
  std::uint32_t sockets_per_upstream = 64;
  Duration tcp_idle_timeout = std::chrono::seconds(10);  // a kept connection to an upstream
  Duration transfer_idle_timeout =
      std::chrono::seconds(30);  // nothing of a zone transfer came, or the client took nothing
  std::uint32_t max_transfers = 64;
  // The key of the loop queries' names. The same for all workers of a daemon: a loop query may come back to another
  // worker than its sender. All zero: the forwarder makes one of its own.
  std::array<std::uint8_t, 16> loop_secret{};
};

// How a forwarded query ended.
enum class Ending : std::uint8_t {
  kReply,       // `reply` is the upstream's, with the client's ID restored
  kMore,        // a part of a zone transfer; more follows
  kNoUpstream,  // nothing came (or there is no upstream at all): the caller answers SERVFAIL with EDE 22
  kOverload,    // pushed out by max_in_flight: the caller answers SERVFAIL
  kBroken,      // a zone transfer's connection broke after its first message, or its client has left
};

// What the forwarder counts; read by the owner.
struct Stats {
  std::uint64_t sent = 0, replies = 0, timeouts = 0, rejected = 0 /* wrong ID or question */, overload = 0;
};

class Forwarder {
 public:
  // `tag` is the caller's, given back as it was. `query` is the client's packet, as it came, valid during the call.
  // Called from the loop or from inside ask(). Must not call ask().
  using Done = std::function<void(Ending ending, const net::Asker& asker, std::uint32_t tag,
                                  std::span<const std::uint8_t> query, std::span<const std::uint8_t> reply)>;

  Forwarder(net::Loop& loop, Options options, Done done);
  ~Forwarder();

  // A new set: what is in flight to an upstream that stays goes on; RTT and health of those that stay are kept.
  // Starts the loop detection: a random <hex>.har-loop.invalid query to each, over UDP; again and with another name
  // when an upstream is alive again or begin_anew() was called, and while it has not answered any (loop_search.h).
  void set_upstreams(std::vector<IpPort> upstreams);
  // The same upstreams, but the ways to them are others: new sockets, and nothing is known of their speed and health.
  void begin_anew();
  void set_options(Options options);

  // Forwards `query` (header at least) over UDP or TCP as the asker came. `transfer`: AXFR/IXFR over TCP, relayed on a
  // connection of its own. No allocation on the ordinary path (queries up to 512 octets; a socket is renewed without
  // any; memory grows with the peak of queries in flight and is kept). `done` may be called from inside.
  void ask(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag, bool transfer);

  // Loop detection: true when `query` is one of our own loop queries that came back to us as a client's query.
  // The caller drops it; the upstream it came through is not used any more and `loop_found` says so once.
  bool is_own_loop_query(std::span<const std::uint8_t> query);
  std::function<void(const IpPort& upstream)> loop_found;
  // Another worker found that this upstream leads back to us. Does not call loop_found.
  void mark_looping(const IpPort& upstream);

  // For the log: once a change. UDP and TCP health are apart.
  std::function<void(const IpPort& upstream, bool alive)> health_changed;      // over UDP
  std::function<void(const IpPort& upstream, bool alive)> tcp_health_changed;  // over TCP

  // How many octets wait for this client (TcpFront::backlog): a zone transfer's source pauses beyond 256 KiB. None: it
  // has left, and its transfer ends (kBroken). Without the function nothing pauses or ends.
  std::function<std::optional<std::size_t>(const net::Asker& asker)> backlog;

  // Ends every query in flight with kNoUpstream (the daemon is about to end).
  void end_all();
  std::size_t in_flight() const;
  const Stats& stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace har::forward
