// One query's way through the forwarder: out over a socket, back from it, and its end.
#include <algorithm>

#include "base/assert.h"
#include "dns/match.h"
#include "dns/types.h"
#include "forward/forwarder_impl.h"
#include "net/clock.h"

namespace har::forward {

using State = Record::State;
using upstream::Do;
using upstream::Place;
using upstream::Worth;

namespace {

// How often a try is sent again when its connection ends after a reply to another. As a rule the next one is its own;
// where there are more clients than connections it may have to share again, with an upstream that ends each connection
// after a reply: this many rounds, of sixteen queries each, are enough for a hundred clients at once.
constexpr std::uint8_t kMaxResends = 8;

void put_id(std::span<std::uint8_t> message, std::uint16_t id) {
  message[0] = static_cast<std::uint8_t>(id >> 8);
  message[1] = static_cast<std::uint8_t>(id);
}

}  // namespace

void Forwarder::Impl::make_room() {
  // Lingering ones are a courtesy to the averages: a quarter beside the active ones, then the oldest goes.
  const std::uint32_t lingering = std::max(64U, options.max_in_flight / 4);
  if (pending.count(State::kLingering) > lingering) let_go(pending.oldest(State::kLingering));
}

void Forwarder::Impl::ask(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag) {
  const Instant now = net::now();
  if (pending.count(State::kActive) >= std::max(options.max_in_flight, 1U)) {
    ++stats.overload;
    deliver(pending.oldest(State::kActive), Ending::kOverload, {}, now);
  }
  const std::uint32_t record = pending.take(State::kActive);
  if (!pending.keep_query(record, query)) {
    pending.release(record);
    ++stats.overload;
    done(Ending::kOverload, asker, tag, query, {});
    return;
  }
  Record& r = pending.at(record);
  r.asker = asker;
  r.tag = tag;
  r.tcp = asker.kind == net::Asker::Kind::kTcp;
  r.client_id = static_cast<std::uint16_t>(query[0] << 8 | query[1]);
  r.is_loop_query = false;
  r.exchange.start(now);
  run(record, now);
}

// A query of our own: nobody waits for its reply but the choice.
void Forwarder::Impl::send_own(Place place, bool over_tcp, std::span<const std::uint8_t> query, bool is_loop_query,
                               Instant now) {
  const std::uint32_t record = pending.take(State::kLingering);
  Record& r = pending.at(record);
  r.tcp = over_tcp;
  r.is_loop_query = is_loop_query;
  const bool is_kept = pending.keep_query(record, query);
  HAR_ASSERT(is_kept);  // a small one
  r.exchange.start_single(place, choice(over_tcp), limits(), now);
  pending.set_wake(record, now + options.total_timeout);
  if (!send(record, place, 0, now)) {
    r.exchange.refused(0, choice(over_tcp), limits(), now);
    let_go(record);
  }
  make_room();
}

void Forwarder::Impl::run(std::uint32_t record, Instant now) {
  for (;;) {
    Record& r = pending.at(record);
    const upstream::Step step = r.exchange.next(choice(r.tcp), limits(), now);
    switch (step.what) {
      case Do::kAsk:
        if (!send(record, step.place, step.attempt, now))
          r.exchange.refused(step.attempt, choice(r.tcp), limits(), now);
        continue;
      case Do::kWait:
        pending.set_wake(record, step.wake);
        return;
      case Do::kPassBad:
        // Nothing where there was no room to keep it.
        deliver(record, r.bad_reply.empty() ? Ending::kOverload : Ending::kReply, r.bad_reply, now);
        return;
      case Do::kGiveUp:
        deliver(record, Ending::kNoUpstream, {}, now);
        return;
    }
  }
}

bool Forwarder::Impl::send(std::uint32_t record, Place place, std::uint8_t attempt, Instant now) {
  Record& r = pending.at(record);
  // The same upstream was asked before and has been silent: perhaps it is our socket that has gone stale.
  for (std::uint8_t i = 0; i < attempt; ++i) {
    const std::uint32_t channel = r.handles[i].channel;
    if (channel == kNone || r.exchange.place_of(i) != place) continue;
    r.tcp ? tcp.doubt(channel, r.exchange.sent_at(i)) : udp.retire(channel);
  }
  const std::uint32_t ref = Pending::ref(record, attempt);
  pending.handle(ref).resends = 0;
  // `. NS` to a dead one takes a new connection: the kept one may be what is dead.
  const bool own = r.state == State::kLingering;
  const bool sent = r.tcp ? tcp.send(place, r.query(), ref, now, own) : udp.queue(place, ref, now);
  turn_end.ask();
  if (!own) loop_search.forwarded_to(upstream::only(place), now);
  if (sent) ++stats.sent;
  return sent;
}

// What was queued could not leave: once more, on another socket, then the next upstream is asked.
void Forwarder::Impl::unsent(std::uint32_t ref) {
  const std::uint32_t record = Pending::record_of(ref);
  Record& r = pending.at(record);
  const std::uint8_t attempt = Pending::attempt_of(ref);
  const Instant now = net::now();
  if (udp.send(r.exchange.place_of(attempt), ref, now)) return;
  --stats.sent;
  r.exchange.refused(attempt, choice(r.tcp), limits(), now);
  settle(record, now);
}

void Forwarder::Impl::deliver(std::uint32_t record, Ending ending, std::span<const std::uint8_t> reply, Instant now) {
  Record& r = pending.at(record);
  put_id(r.query(), r.client_id);
  if (reply.data() == r.bad_reply.data() && !r.bad_reply.empty()) put_id(r.bad_reply, r.client_id);
  done(ending, r.asker, r.tag, r.query(), reply);
  const Instant end = r.exchange.sent_at(0) + options.total_timeout;
  if (r.linked == 0 || now >= end) return let_go(record);
  pending.move(record, State::kLingering);
  pending.set_wake(record, end);
  make_room();
}

void Forwarder::Impl::unlink(std::uint32_t ref) {
  const std::uint32_t channel = pending.handle(ref).channel;
  pending.unlink(ref);
  pending.channel(channel).tcp ? tcp.close_if_done(channel) : udp.close_if_done(channel);
}

void Forwarder::Impl::let_go(std::uint32_t record) {
  Record& r = pending.at(record);
  for (std::uint8_t attempt = 0; attempt < r.exchange.tries() && r.linked > 0; ++attempt) {
    const std::uint32_t channel = r.handles[attempt].channel;
    if (channel == kNone) continue;
    ++stats.timeouts;
    if (r.tcp) tcp.doubt(channel, r.exchange.sent_at(attempt));
    unlink(Pending::ref(record, attempt));
  }
  pending.release(record);
}

void Forwarder::Impl::settle(std::uint32_t record, Instant now) {
  Record& r = pending.at(record);
  if (r.state == State::kActive) {
    run(record, now);
  } else if (r.linked == 0) {
    let_go(record);
  }
}

void Forwarder::Impl::received(std::uint32_t channel, std::span<std::uint8_t> reply) {
  if (reply.size() < dns::kHeaderSize) {
    ++stats.rejected;
    return;
  }
  const auto id = static_cast<std::uint16_t>(reply[0] << 8 | reply[1]);
  const std::uint32_t ref = pending.find(channel, id);
  if (ref == kNone) {
    ++stats.rejected;
    return;
  }
  const std::uint32_t record = Pending::record_of(ref);
  Record& r = pending.at(record);
  put_id(r.query(), id);
  if (!dns::reply_matches(r.query(), reply)) {
    ++stats.rejected;
    return;
  }
  const Instant now = net::now();
  if (r.is_loop_query) loop_search.answered(r.exchange.place_of(0), r.exchange.sent_at(0));
  if (r.tcp && pending.is_overtaking(ref)) tcp.answered_out_of_order(channel);
  const Worth worth = r.exchange.replied(Pending::attempt_of(ref), dns::read_head(reply).rcode, choice(r.tcp), now);
  ++stats.replies;
  unlink(ref);
  if (r.state == State::kActive && worth == Worth::kGood) {
    put_id(reply, r.client_id);
    deliver(record, Ending::kReply, reply, now);
    return;
  }
  if (r.state == State::kActive && worth == Worth::kFirstBad) pending.keep_bad_reply(record, reply);
  settle(record, now);
}

void Forwarder::Impl::refused(std::uint32_t channel) {
  // Which of them it was for is not told: all move on, and all are listened to as before. Those of the last refusal
  // have moved on; in a flood they are a thousand, and refusals come by the thousand, too.
  const Instant now = net::now();
  pending.collect_new(channel, scratch);
  for (std::size_t i = 0; i < scratch.size(); ++i) {
    const std::uint32_t ref = scratch[i];
    if (pending.handle(ref).channel != channel) continue;  // ended by one before it
    Record& r = pending.at(Pending::record_of(ref));
    if (!r.exchange.is_open(Pending::attempt_of(ref))) continue;  // its time was over
    r.exchange.refused(Pending::attempt_of(ref), choice(r.tcp), limits(), now);
    settle(Pending::record_of(ref), now);
  }
}

void Forwarder::Impl::broken(std::uint32_t channel, Place place, bool kept) {
  const Instant now = net::now();
  pending.collect(channel, scratch);
  for (std::size_t i = 0; i < scratch.size(); ++i) {
    const std::uint32_t ref = scratch[i];
    if (pending.handle(ref).channel != channel) continue;
    const std::uint32_t record = Pending::record_of(ref);
    Record& r = pending.at(record);
    pending.unlink(ref);
    Handle& h = pending.handle(ref);
    const bool in_time = r.state == State::kActive && now - r.exchange.sent_at(0) < options.total_timeout;
    if (kept && in_time && h.resends < kMaxResends && tcp.send(place, r.query(), ref, now, true)) {
      ++h.resends;
      ++stats.sent;
      continue;
    }
    if (!kept || r.state == State::kActive) {
      r.exchange.refused(Pending::attempt_of(ref), choice(true), limits(), now);
    }
    settle(record, now);
  }
}

}  // namespace har::forward
