#include "app/worker.h"

#include <sys/random.h>
#include <sys/resource.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "answer/answer.h"
#include "app/answerer_descriptors.h"
#include "dns/types.h"
#include "forward/forwarder.h"
#include "forward/in_turn.h"
#include "front/tcp_front.h"
#include "front/udp_batch.h"
#include "front/udp_front.h"
#include "net/clock.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "net/sockaddr.h"

namespace har::app {
namespace {

using answer::Transport;
using std::chrono::milliseconds;
using table::Cell;

constexpr Duration kBeatInterval = milliseconds(500);
constexpr Duration kDrainLook = milliseconds(2);
constexpr Duration kEmptyLook = milliseconds(100);
constexpr std::size_t kReplyRoom = 4096;

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    seed = static_cast<std::uint64_t>(net::now().time_since_epoch().count());
  return seed;
}

// How many clients' connections one of `workers` may hold. Descriptors are kept back for the sockets towards the
// upstreams and for what the keeper sends: else clients that only connect would end all forwarding, and the next
// reload. None is enough for one at a time (front/tcp_front.h).
std::uint32_t room_for_connections(std::uint32_t wanted, std::uint32_t workers, std::size_t addresses) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  rlim_t kept_back = std::min<rlim_t>(limit.rlim_cur / 2, 256 + rlim_t{1024} * workers);
  // Beside that one client and one upstream over TCP.
  const rlim_t reload = answerer_descriptors(workers, addresses, addresses) + rlim_t{2} * workers;
  if (reload <= limit.rlim_cur) kept_back = std::max(kept_back, reload);  // else the keeper refuses it in any case
  return static_cast<std::uint32_t>(std::min<rlim_t>(wanted, (limit.rlim_cur - kept_back) / workers));
}

Transport transport_of(const net::Asker& asker) {
  return asker.kind == net::Asker::Kind::kUdp ? Transport::kUdp : Transport::kTcp;
}

}  // namespace

struct Worker::Impl {
  struct Assign {
    Assignment assignment;
    std::function<void()> serving_now;
  };
  struct Looping {
    IpPort upstream;
  };
  struct Leave {
    std::function<void()> none_left;
  };
  struct Stop {
    Duration grace;
    std::function<void()> done;
  };
  using Order = std::variant<Assign, Looping, Leave, Stop>;

  Impl(std::uint32_t worker_index, const Shared& among_workers)
      : index(worker_index),
        shared(among_workers),
        forwarder(loop, forward_options(),
                  [this](forward::Ending ending, const net::Asker& asker, std::uint32_t tag,
                         std::span<const std::uint8_t> query,
                         std::span<const std::uint8_t> reply) { forwarded(ending, asker, tag, query, reply); }),
        udp(
            loop, [this](std::span<const std::span<const std::uint8_t>> packets) { look_ahead(packets); },
            [this](std::span<const std::uint8_t> packet, const net::Asker& asker, std::span<std::uint8_t> out) {
              return on_udp(packet, asker, out);
            }),
        tcp(
            loop, {}, [this](const IpAddress& client, bool from_here) { return admits(client, from_here); },
            [this](std::span<const std::uint8_t> message, const net::Asker& asker, std::span<std::uint8_t> out) {
              return on_tcp(message, asker, out);
            }),
        beat(loop, [this] { on_beat(); }),
        drain(loop, [this] { on_drain(); }),
        emptying(loop, [this] { on_emptying(); }),
        orders(loop, [this](Order order) { std::visit([this](auto& o) { obey(o); }, order); }) {
    forwarder.loop_found = [this](const IpPort& upstream) { shared.upstream_looping(upstream); };
    forwarder.health_changed = [this](const IpPort& upstream, bool alive) { tell_health("udp", upstream, alive); };
    forwarder.tcp_health_changed = [this](const IpPort& upstream, bool alive) { tell_health("tcp", upstream, alive); };
    forwarder.backlog = [this](const net::Asker& asker) { return tcp.backlog(asker); };
    on_beat();
  }

  void tell_health(const char* transport, const IpPort& upstream, bool alive) const {
    shared.log->warning(alive ? "upstream_alive" : "upstream_dead",
                        {{"upstream", upstream.to_string()}, {"transport", transport}, {"worker", index}});
  }

  forward::Options forward_options() const {
    forward::Options options;
    options.loop_secret = shared.loop_secret;
    return options;
  }

  // ---- a query

  void look_ahead(std::span<const std::span<const std::uint8_t>> packets) {
    static_assert(front::UdpBatch::kPackets <= table::Reader::kMostAhead);
    std::array<std::uint32_t, table::Reader::kMostAhead> slots;
    for (const std::uint32_t slot : answer::prefetch(packets, serving->table, slots)) {
      if (slot != table::kNoSlot) counters->prefetch(index, slot);
    }
  }

  std::size_t on_udp(std::span<const std::uint8_t> packet, const net::Asker& asker, std::span<std::uint8_t> out) {
    count(Cell::kUdpQueries);
    if (!allows(asker.address.to_ip_port().ip, asker.from_here)) {
      count(Cell::kRefusedClient);
      return 0;
    }
    return decide(packet, asker, out);
  }

  front::TcpFront::Answer on_tcp(std::span<const std::uint8_t> message, const net::Asker& asker,
                                 std::span<std::uint8_t> out) {
    using Outcome = front::TcpFront::Outcome;
    count(Cell::kTcpQueries);
    if (!allows(asker.address.to_ip_port().ip, asker.from_here)) {  // any more: it connected before a reload
      count(Cell::kRefusedClient);
      return {Outcome::kEnd, 0};
    }
    later = false;
    const std::size_t size = decide(message, asker, out);
    if (later) return {Outcome::kLater, 0};
    return size > 0 ? front::TcpFront::Answer{Outcome::kReply, size} : front::TcpFront::Answer{Outcome::kDrop, 0};
  }

  bool admits(const IpAddress& client, bool from_here) {
    count(Cell::kTcpConnections);
    const bool allowed = allows(client, from_here);
    if (!allowed) count(Cell::kRefusedClient);
    return allowed;
  }

  bool cookies_seen() const { return shared.cookies_seen.load(std::memory_order_relaxed); }

  // Mostly the one who has just asked asks again.
  bool allows(const IpAddress& client, bool from_here) {
    if (client == last_allowed) return true;
    if (!serving->table.allows(client)) return from_here && serving->table.allows_own();
    last_allowed = client;
    return true;
  }

  // Returns the size of an immediate reply. Zero: nothing, or, with `later` set, the forwarder's reply will follow.
  std::size_t decide(std::span<const std::uint8_t> packet, const net::Asker& asker, std::span<std::uint8_t> out) {
    const auto decision =
        answer::decide(packet, transport_of(asker), serving->table, *turns, recently, out, cookies_seen());
    switch (decision.verdict) {
      case answer::Verdict::kReply:
        if (decision.formerr) {
          count(Cell::kFormErr);
        } else {
          count(Cell::kAnswered);
          if (decision.slot != table::kNoSlot) counters->name(index, decision.slot).add();
        }
        return decision.reply_size;
      case answer::Verdict::kForward:
        break;
      case answer::Verdict::kDrop:
        count(Cell::kDropped);
        return 0;
    }
    if (forwarder.is_own_loop_query(packet)) {
      count(Cell::kDropped);
      return 0;
    }
    follow_upstreams();
    count(Cell::kForwarded);
    later = true;
    const auto rule = static_cast<std::uint32_t>(decision.rule);
    // A client over TCP has its own bound: it is not read while too much of it is in flight.
    if (asker.kind == net::Asker::Kind::kTcp) {
      forwarder.ask(packet, asker, rule, decision.zone_transfer);
      return 0;
    }
    // As the kernel would drop it if we did not read: a word to each would cost as much as reading two.
    if (!in_turn.ask(packet, asker, rule)) count(Cell::kDropped);
    return 0;
  }

  bool has_work() const { return forwarder.in_flight() > 0 || !in_turn.empty(); }

  // ---- its way back

  void forwarded(forward::Ending ending, const net::Asker& asker, std::uint32_t tag,
                 std::span<const std::uint8_t> query, std::span<const std::uint8_t> reply) {
    using forward::Ending;
    switch (ending) {
      case Ending::kReply: {
        bool seen = cookies_seen();
        const std::size_t size =
            answer::finish(static_cast<answer::Rule>(tag), query, transport_of(asker), reply, reply_room, seen);
        if (seen != cookies_seen()) shared.cookies_seen.store(true, std::memory_order_relaxed);
        return give(asker, size > 0 ? std::span<const std::uint8_t>(reply_room.data(), size) : reply, true);
      }
      case Ending::kMore:
        return give(asker, reply, false);
      case Ending::kBroken:
        return tcp.abandon(asker);
      case Ending::kNoUpstream:
        count(Cell::kServfailNoUpstream);
        return give_servfail(asker, query, stopping ? answer::Failure::kNotReady : answer::Failure::kNoUpstream);
      case Ending::kOverload:
        count(Cell::kServfailOverload);
        return give_servfail(asker, query, answer::Failure::kOverload);
    }
  }

  void give_servfail(const net::Asker& asker, std::span<const std::uint8_t> query, answer::Failure why) {
    const std::size_t size = answer::servfail(query, transport_of(asker), why, reply_room, cookies_seen());
    give(asker, {reply_room.data(), size}, true);
  }

  void give(const net::Asker& asker, std::span<const std::uint8_t> reply, bool last) {
    if (asker.kind == net::Asker::Kind::kUdp) {
      udp.send(asker, reply);
    } else {
      tcp.send(asker, reply, last);
    }
  }

  // ---- orders from the main thread

  void obey(Assign& order) {
    serving = std::move(order.assignment.serving);
    precedence.look(net::now());
    last_allowed.reset();
    counters.emplace(serving->counters);
    turns.emplace(random_seed(), serving->table.slot_count());
    const table::Limits& limits = serving->table.limits();
    auto options = forward_options();
    options.resolver_timeout = Duration(limits.resolver_timeout_ns);
    // The limits are the daemon's; each worker has its share.
    options.max_in_flight = std::max(1U, limits.max_in_flight / shared.workers);
    forwarder.set_options(options);
    const std::uint32_t share = std::max(1U, limits.tcp_max_connections / shared.workers);
    const std::uint32_t room = room_for_connections(share, shared.workers, order.assignment.udp.size());
    if (room < share && index == 0) {
      shared.log->warning("tcp_connections_limited", {{"to", room}, {"wanted", share}, {"reason", "RLIMIT_NOFILE"}});
    }
    tcp.set_limits({.idle_timeout = Duration(limits.tcp_idle_timeout_ns),
                    .max_connections = room,
                    .max_in_flight = limits.tcp_max_in_flight});
    upstreams_version.reset();
    upstreams.clear();
    follow_upstreams();
    udp.serve(std::move(order.assignment.udp));
    tcp.serve(std::move(order.assignment.tcp));
    order.serving_now();
  }

  void obey(Looping& order) { forwarder.mark_looping(order.upstream); }

  void obey(Leave& order) {
    none_left = std::move(order.none_left);
    udp.hand_over();
    tcp.serve({});
    on_emptying();
  }

  void obey(Stop& order) {
    stopping = true;
    stop_done = std::move(order.done);
    stop_deadline = net::now() + order.grace;
    on_drain();
  }

  // ---- time

  void on_beat() {
    recently = net::now();
    last_beat.store(recently.time_since_epoch().count(), std::memory_order_relaxed);
    if (serving) {  // this is our thread, not the constructor's
      precedence.look(recently);
      follow_upstreams();
      publish_stats();
    }
    beat.set(kBeatInterval);
  }

  void on_emptying() {
    if (has_work() || tcp.connections() > 0) return emptying.set(kEmptyLook);
    none_left();
  }

  void on_drain() {
    const bool time_is_up = net::now() >= stop_deadline;
    if (time_is_up) {
      forwarder.end_all();
      in_turn.end_all([this](const net::Asker& asker, std::span<const std::uint8_t> query) {
        give_servfail(asker, query, answer::Failure::kNotReady);
      });
    }
    // One more turn of the loop after the last reply, so that TCP replies leave their buffers.
    if (!time_is_up && (has_work() || !drained_once)) {
      drained_once = !has_work();
      drain.set(kDrainLook);
      return;
    }
    udp.flush();
    loop.stop();
    stop_done();
  }

  // The upstream list lives in the table and may change without a new table. One relaxed load to look.
  void follow_upstreams() {
    const std::uint32_t version = serving->table.upstreams_version();
    if (upstreams_version == version) return;
    const auto before = std::exchange(upstreams_version, version);
    auto list = serving->table.upstreams();
    if (list == upstreams && !list.empty()) return forwarder.begin_anew();
    upstreams = list;
    forwarder.set_upstreams(std::move(list));
    // Perhaps the network changed with the list: those that stay are asked over new sockets, too.
    if (before && version - *before > 1) forwarder.begin_anew();
  }

  void publish_stats() {
    const forward::Stats& now = forwarder.stats();
    count(Cell::kUpstreamReplies, now.replies - published.replies);
    count(Cell::kUpstreamTimeouts, now.timeouts - published.timeouts);
    count(Cell::kUpstreamSpoofs, now.rejected - published.rejected);
    published = now;
    const std::uint64_t closed = tcp.stats().closed_for_room;
    count(Cell::kTcpClosedForRoom, closed - published_closed_for_room);
    published_closed_for_room = closed;
  }

  void count(Cell cell, std::uint64_t n = 1) { counters->cell(index, cell).add(n); }

  // fixed after construction
  const std::uint32_t index;
  const Shared& shared;
  // owned by the worker's thread
  net::Loop loop;
  Precedence precedence{shared.ask_to_go_first, shared.workers};
  std::shared_ptr<const Serving> serving;   // set before the fronts get their first socket
  std::optional<table::Counters> counters;  // its own cells in `serving`'s region
  std::optional<answer::Turns> turns;
  std::optional<std::uint32_t> upstreams_version;
  std::vector<IpPort> upstreams;  // as the forwarder has them; empty: not yet from this table
  std::array<std::uint8_t, kReplyRoom> reply_room{};
  forward::Stats published;
  std::uint64_t published_closed_for_room = 0;
  std::optional<IpAddress> last_allowed;  // a client of `serving`'s list
  Instant recently;  // half a second ago at most: good enough to tell a table's age, and no query reads the clock
  bool later = false;
  bool stopping = false;
  bool drained_once = false;
  std::function<void()> none_left;
  std::function<void()> stop_done;
  Instant stop_deadline = kNever;
  forward::Forwarder forwarder;
  forward::InTurn in_turn{loop, forwarder};
  front::UdpFront udp;
  front::TcpFront tcp;
  net::Timer beat;
  net::Timer drain;
  net::Timer emptying;
  // from any thread
  std::atomic<std::int64_t> last_beat{0};
  net::Mailbox<Order> orders;
  std::thread thread;
};

Worker::Worker(std::uint32_t index, const Shared& shared) : impl_(std::make_unique<Impl>(index, shared)) {
  impl_->thread = std::thread([this] { impl_->loop.run(); });
}

Worker::~Worker() {
  if (impl_->thread.joinable()) impl_->thread.join();
}

void Worker::assign(Assignment assignment, std::function<void()> serving_now) {
  impl_->orders.post(Impl::Assign{std::move(assignment), std::move(serving_now)});
}

void Worker::upstream_is_looping(const IpPort& upstream) { impl_->orders.post(Impl::Looping{upstream}); }

void Worker::leave(std::function<void()> none_left) { impl_->orders.post(Impl::Leave{std::move(none_left)}); }

void Worker::stop(Duration grace, std::function<void()> done) {
  impl_->orders.post(Impl::Stop{grace, std::move(done)});
}

Instant Worker::last_beat() const { return Instant(Duration(impl_->last_beat.load(std::memory_order_relaxed))); }

}  // namespace har::app
