#include "forward/forwarder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "dns/addresses.h"
#include "dns/query.h"
#include "dns/types.h"
#include "forward/forwarder_impl.h"
#include "forward/loop_query.h"
#include "net/clock.h"

namespace har::forward {

using upstream::Place;
using upstream::PlaceSet;

namespace {

constexpr Duration kSameList = std::chrono::seconds(2);     // within that all workers have followed it
constexpr Duration kLate = std::chrono::milliseconds(200);  // of our own loop: no load of ours makes it

}  // namespace

Forwarder::Forwarder(net::Loop& loop, Options options, Done done)
    : impl_(std::make_unique<Impl>(loop, options, std::move(done), *this)) {}
Forwarder::~Forwarder() = default;

Forwarder::Impl::Impl(net::Loop& loop, Options given, Done given_done, Forwarder& owner)
    : self(owner),
      done(std::move(given_done)),
      options(given),
      udp(
          loop, pending, random, options.sockets_per_upstream,
          [this](std::uint32_t channel, std::span<std::uint8_t> datagram) { received(channel, datagram); },
          [this](std::uint32_t channel) { refused(channel); }, [this](std::uint32_t ref) { unsent(ref); },
          [this] { turn_end.ask(); }),
      tcp(
          loop, pending, random,
          [this](std::uint32_t channel, std::span<std::uint8_t> message) { received(channel, message); },
          [this](std::uint32_t channel, Place place, bool kept) { broken(channel, place, kept); },
          [this] { turn_end.ask(); }),
      transfers(loop, random, places, tcp_choice, options, stats, done, owner.backlog),
      timer(loop, [this] { on_timer(); }),
      turn_end(loop, [this] { end_turn(); }) {
  scratch.reserve(2 * kSocketUses);
  if (options.loop_secret == LoopSecret{}) {
    for (std::uint8_t& octet : options.loop_secret) octet = static_cast<std::uint8_t>(random.u16());
  }
}

void Forwarder::set_upstreams(std::vector<IpPort> upstreams) { impl_->set_upstreams(upstreams); }

void Forwarder::Impl::set_upstreams(std::span<const IpPort> upstreams) {
  const Instant now = net::now();
  const PlaceSet before = places.present();
  places.assign(upstreams);
  looping = 0;
  for (const Place place : places.order()) {
    udp.set_upstream(place, places.at(place));
    tcp.set_upstream(place, places.at(place));
  }
  udp_choice.set(places.order(), now);
  tcp_choice.set(places.order(), now);
  for (PlaceSet left = before & ~places.present(); left != 0; left &= left - 1) {
    const auto place = static_cast<Place>(std::countr_zero(left));
    udp.retire_all(place);
    tcp.retire_all(place);
  }
  // A try at one that has left may still be answered, but nobody waits for it: as if refused, the next is asked.
  std::uint32_t waiting = pending.count(Record::State::kActive);
  for (std::uint32_t record = pending.oldest(Record::State::kActive); record != kNone && waiting > 0; --waiting) {
    const std::uint32_t following = pending.at(record).newer;
    Record& r = pending.at(record);
    for (std::uint8_t attempt = 0; attempt < r.exchange.tries(); ++attempt) {
      if ((places.present() & upstream::only(r.exchange.place_of(attempt))) != 0) continue;
      r.exchange.refused(attempt, choice(r.tcp), limits(), now);
    }
    run(record, now);
    record = following;
  }
  loop_search.set(places.order(), now);
  for (const auto& [upstream, marked_at] : std::exchange(marked_early, {})) {
    const auto place = places.find(upstream);
    if (place && now - marked_at < kSameList) exclude(*place);
  }
  send_loop_queries(now);
  turn_end.ask();
}

void Forwarder::begin_anew() {
  Impl& me = *impl_;
  const Instant now = net::now();
  for (const Place place : me.places.order()) {
    me.udp.retire_all(place);
    me.tcp.retire_all(place);
  }
  for (upstream::Choice* choice : {&me.udp_choice, &me.tcp_choice}) {
    choice->set({}, now);
    choice->set(me.places.order(), now);
    for (const Place place : me.places.order()) {
      if ((me.looping & upstream::only(place)) != 0) choice->exclude(place);
    }
  }
  for (const Place place : me.places.order()) {
    if ((me.looping & upstream::only(place)) == 0) me.loop_search.begin(place, now);
  }
  me.send_loop_queries(now);
  me.turn_end.ask();
}

void Forwarder::set_options(Options options) {
  const auto secret = impl_->options.loop_secret;
  const auto sockets = impl_->options.sockets_per_upstream;  // for the life of the forwarder
  impl_->options = options;
  if (options.loop_secret == LoopSecret{}) impl_->options.loop_secret = secret;
  impl_->options.sockets_per_upstream = sockets;
}

void Forwarder::ask(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag, bool transfer) {
  if (query.size() < dns::kHeaderSize || query.size() > dns::kMaxMessage) return;
  if (impl_->udp_choice.all() == 0) {
    impl_->done(Ending::kNoUpstream, asker, tag, query, {});
  } else if (transfer && asker.kind == net::Asker::Kind::kTcp) {
    impl_->transfers.start(query, asker, tag);
    impl_->loop_search.forwarded_to(impl_->udp_choice.all(), net::now());  // to which of them is its own affair
  } else {
    impl_->ask(query, asker, tag);
  }
  impl_->turn_end.ask();
}

bool Forwarder::is_own_loop_query(std::span<const std::uint8_t> query) {
  // Nearly all queries end here: the first label is not of 32 octets.
  if (query.size() < dns::kHeaderSize + kLoopNameSize || query[dns::kHeaderSize] != 32) return false;
  const dns::Query parsed = dns::parse_query(query);
  if (parsed.status != dns::Query::Status::kOk) return false;
  const auto mark = read_loop_name(impl_->options.loop_secret, parsed.name);
  if (!mark) return false;
  for (const Place place : impl_->places.order()) {
    const IpPort& address = impl_->places.at(place);
    if ((impl_->looping & upstream::only(place)) != 0 || !mark->is_for(impl_->options.loop_secret, address)) continue;
    impl_->exclude(place);
    if (loop_found) loop_found(address);
  }
  return true;
}

void Forwarder::mark_looping(const IpPort& upstream) {
  if (const auto place = impl_->places.find(upstream)) {
    impl_->exclude(*place);
  } else if (impl_->marked_early.size() < upstream::kMaxPlaces) {
    // Another worker has followed a new list and found it there; our own query may lead to that one again, which knows
    // it by then and says nothing.
    impl_->marked_early.emplace_back(upstream, net::now());
  }
}

void Forwarder::Impl::exclude(Place place) {
  looping |= upstream::only(place);
  loop_search.end(place);
  udp_choice.exclude(place);
  tcp_choice.exclude(place);
}

void Forwarder::end_all() { impl_->end_all(); }

void Forwarder::Impl::end_all() {
  transfers.end_all();
  for (std::uint32_t record = pending.oldest(Record::State::kActive); record != kNone;
       record = pending.oldest(Record::State::kActive)) {
    deliver(record, Ending::kNoUpstream, {}, kNever);
  }
  while (pending.count(Record::State::kLingering) > 0) let_go(pending.oldest(Record::State::kLingering));
  turn_end.ask();
}

std::size_t Forwarder::in_flight() const {
  return impl_->pending.count(Record::State::kActive) + impl_->transfers.running();
}

const Stats& Forwarder::stats() const { return impl_->stats; }

void Forwarder::Impl::send_loop_queries(Instant now) {
  while (const auto place = loop_search.due(now)) {
    std::array<std::uint8_t, dns::kHeaderSize + dns::kMaxNameSize + 4> query;
    const LoopName name = make_loop_name(options.loop_secret, random.u64(), places.at(*place));
    send_own(*place, false, std::span(query).first(dns::write_query(0, name, dns::kTypeTxt, query)), true, now);
  }
}

void Forwarder::Impl::keep_house(bool over_tcp, Instant now) {
  while (const auto change = choice(over_tcp).next_change(now)) {
    if (change->alive) {
      loop_search.begin(change->place, now);
    } else {
      // Perhaps it is only the way that has changed: what comes next takes new sockets.
      over_tcp ? tcp.retire_all(change->place) : udp.retire_all(change->place);
    }
    const auto& tell = over_tcp ? self.tcp_health_changed : self.health_changed;
    if (tell) tell(places.at(change->place), change->alive);
  }
  while (const auto place = choice(over_tcp).probe_due(now)) {
    constexpr std::array<std::uint8_t, 1> kRoot{0};
    std::array<std::uint8_t, dns::kHeaderSize + dns::kMaxNameSize + 4> query;
    send_own(*place, over_tcp, std::span(query).first(dns::write_query(0, kRoot, dns::kTypeNs, query)), false, now);
  }
}

void Forwarder::Impl::sweep(Instant now) {
  udp.sweep(now);
  tcp.sweep(now, options.tcp_idle_timeout);
  sweep_at = kNever;
}

void Forwarder::Impl::end_turn() {
  udp.flush();
  udp.refusals();  // asks elsewhere: there will be another end of this turn
  arm();
}

void Forwarder::Impl::arm() {
  const Instant now = net::now();
  // A quarter, so that an idle connection ends not long after its time.
  if (udp.open() > 0) sweep_at = std::min(sweep_at, now + kSocketAge);
  if (tcp.open() > 0) sweep_at = std::min(sweep_at, now + options.tcp_idle_timeout / 4);
  Instant wake = std::min({sweep_at, udp_choice.wake(), tcp_choice.wake(), std::max(now, loop_search.wake())});
  if (const std::uint32_t next = pending.next_to_wake(); next != kNone) wake = std::min(wake, pending.at(next).wake);
  if (wake == kNever || armed_for <= wake) return;  // the timer that is set comes first and looks again
  armed_for = wake;
  timer.set(wake - now);
}

void Forwarder::Impl::on_timer() {
  const Instant now = net::now();
  if (now - armed_for >= kLate && !std::exchange(is_late, true)) {
    // We were stopped, or the machine slept: epoll_wait() ended with that and told of nothing. What has come meanwhile
    // counts before the time that has passed.
    armed_for = now;
    return timer.set(Duration::zero());
  }
  is_late = false;
  armed_for = kNever;
  for (std::uint32_t next = pending.next_to_wake(); next != kNone && pending.at(next).wake <= now;
       next = pending.next_to_wake()) {
    if (pending.at(next).state == Record::State::kActive) {
      run(next, now);
    } else {
      let_go(next);
    }
  }
  keep_house(false, now);
  keep_house(true, now);
  send_loop_queries(now);
  if (sweep_at <= now) sweep(now);
  turn_end.ask();
}

}  // namespace har::forward
