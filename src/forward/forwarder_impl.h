// The inside of the Forwarder: joins the records in flight, the sockets and the rules of upstream/.
// Not for anybody but forwarder.cc and traffic.cc.  Thread: one worker.  Tested by: forwarder_test.cc
#pragma once

#include <utility>
#include <vector>

#include "forward/forwarder.h"
#include "forward/loop_search.h"
#include "forward/pending.h"
#include "forward/random.h"
#include "forward/tcp_connections.h"
#include "forward/transfers.h"
#include "forward/udp_sockets.h"
#include "net/loop.h"
#include "upstream/choice.h"
#include "upstream/exchange.h"
#include "upstream/places.h"

namespace har::forward {

struct Forwarder::Impl {
  Impl(net::Loop& loop, Options given, Done given_done, Forwarder& owner);

  // From outside.
  void set_upstreams(std::span<const IpPort> upstreams);
  void ask(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag);
  void exclude(upstream::Place place);
  void end_all();

  // One query's way.
  void run(std::uint32_t record, Instant now);  // does what its exchange says, until it waits or ends
  bool send(std::uint32_t record, upstream::Place place, std::uint8_t attempt, Instant now);
  void deliver(std::uint32_t record, Ending ending, std::span<const std::uint8_t> reply, Instant now);
  void let_go(std::uint32_t record);  // frees it; its tries are not listened to any more
  void make_room();
  void send_own(upstream::Place place, bool over_tcp, std::span<const std::uint8_t> query, bool is_loop_query,
                Instant now);
  void send_loop_queries(Instant now);  // those that are due

  // From the sockets.
  void received(std::uint32_t channel, std::span<std::uint8_t> reply);
  void refused(std::uint32_t channel);
  void unsent(std::uint32_t ref);
  void broken(std::uint32_t channel, upstream::Place place, bool kept);
  void unlink(std::uint32_t ref);
  void settle(std::uint32_t record, Instant now);  // after a change: goes on, lingers or is freed

  // Time.
  void end_turn();  // once a turn of the loop in which something happened: what is queued leaves, the timer is set
  void arm();
  void on_timer();
  void keep_house(bool over_tcp, Instant now);
  void sweep(Instant now);

  upstream::Choice& choice(bool over_tcp) { return over_tcp ? tcp_choice : udp_choice; }
  upstream::Limits limits() const { return {options.resolver_timeout, options.total_timeout}; }

  // fixed after construction
  Forwarder& self;
  Done done;
  // owned by this thread
  Options options;
  Stats stats;
  Random random;
  Pending pending;
  upstream::Places places;
  upstream::Choice udp_choice;
  upstream::Choice tcp_choice;
  LoopSearch loop_search;
  upstream::PlaceSet looping = 0;
  std::vector<std::pair<IpPort, Instant>> marked_early;  // as looping, before they were upstreams of ours
  std::vector<std::uint32_t> scratch;                    // tries of one channel
  Instant sweep_at = kNever;
  Instant armed_for = kNever;
  UdpSockets udp;
  TcpConnections tcp;
  Transfers transfers;
  net::Timer timer;
  bool is_late = false;  // the timer was, and is looked at once more
  net::Later turn_end;
};

}  // namespace har::forward
