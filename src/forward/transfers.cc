#include "forward/transfers.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dns/match.h"
#include "dns/types.h"
#include "net/clock.h"
#include "net/sockaddr.h"
#include "upstream/exchange.h"

namespace har::forward {

using upstream::only;
using upstream::Place;

namespace {

// How long a paused transfer waits before it looks at the client's queue again.
constexpr Duration kLookAgain = std::chrono::milliseconds(20);
// How often one that waits for the upstream looks whether its client is still there.
constexpr Duration kClientLook = std::chrono::seconds(1);

void put_id(std::span<std::uint8_t> message, unsigned id) {
  message[0] = static_cast<std::uint8_t>(id >> 8);
  message[1] = static_cast<std::uint8_t>(id);
}

// The question stands in the first message; later ones may leave it out (RFC 5936 2.2.1).
bool belongs(std::span<const std::uint8_t> query, std::span<const std::uint8_t> message, bool begun) {
  if (message.size() < dns::kHeaderSize) return false;
  const bool without_question = message[4] == 0 && message[5] == 0;
  if (!begun || !without_question) return dns::reply_matches(query, message);
  return message[0] == query[0] && message[1] == query[1] && (message[2] & 0x80) != 0;
}

}  // namespace

Transfers::Transfers(net::Loop& loop, Random& random, const upstream::Places& places, upstream::Choice& choice,
                     const Options& options, Stats& stats, Forwarder::Done done, const Backlog& backlog)
    : loop_(loop),
      random_(random),
      places_(places),
      choice_(choice),
      options_(options),
      stats_(stats),
      done_(std::move(done)),
      backlog_(backlog) {}

Transfers::~Transfers() = default;

void Transfers::start(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag) {
  if (running_.size() >= options_.max_transfers) {
    ++stats_.overload;
    done_(Ending::kOverload, asker, tag, query, {});
    return;
  }
  running_.push_back(std::make_unique<Transfer>(query));
  Transfer& t = *running_.back();
  t.asker = asker;
  t.tag = tag;
  t.in = std::make_unique_for_overwrite<std::uint8_t[]>(kBuffer);
  t.timer.emplace(loop_, [this, &t] { on_timer(t); });
  try_next(t);
}

void Transfers::try_next(Transfer& t) {
  const Instant now = net::now();
  for (;;) {
    const upstream::PlaceSet alive = choice_.alive(now);
    const upstream::PlaceSet fresh = (alive != 0 ? alive : choice_.all()) & ~t.asked;
    if (fresh == 0) break;
    const Place place = choice_.best_of(fresh);
    t.asked |= only(place);
    if (connect_to(t, place, now)) return;
    choice_.sent(place, options_.resolver_timeout, now);
    choice_.refused(place, now, options_.resolver_timeout, now);
  }
  if (t.bad_reply.empty()) return finish(t, Ending::kNoUpstream, {});
  put_id(t.bad_reply, static_cast<unsigned>(t.query[0] << 8 | t.query[1]));
  const std::vector<std::uint8_t> reply = std::move(t.bad_reply);
  finish(t, Ending::kReply, reply);
}

bool Transfers::connect_to(Transfer& t, Place place, Instant now) {
  const net::SocketAddress to(places_.at(place));
  t.watch.reset();
  t.fd.reset(socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!t.fd) return false;
  const int on = 1;
  setsockopt(t.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(t.fd.get(), &to.generic, to.size()) != 0 && errno != EINPROGRESS) return false;
  t.place = place;
  t.connecting = true;
  t.paused = false;
  t.sent = now;
  t.in_size = 0;
  t.out.assign({static_cast<std::uint8_t>(t.query.size() >> 8), static_cast<std::uint8_t>(t.query.size())});
  t.out.insert(t.out.end(), t.query.begin(), t.query.end());
  t.out_done = 0;
  put_id(std::span(t.out).subspan(2), random_.u16());
  t.watch.emplace(loop_, t.fd.get(), net::Watch::kReadWrite, [this, &t](net::Watch::Interest what) { ready(t, what); });
  wait(t, options_.resolver_timeout);
  ++stats_.sent;
  choice_.sent(place, options_.resolver_timeout, now);
  return true;
}

void Transfers::ready(Transfer& t, net::Watch::Interest what) {
  if ((what & net::Watch::kWrite) != 0) {
    if (t.connecting) {
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(t.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return fail(t);
      t.connecting = false;
      t.handshake = net::now() - t.sent;
      // Connected: the upstream lives; what it needs to begin a large transfer is its own affair. Three that were slow
      // to begin made it dead.
      choice_.heard(t.place);
      wait(t, options_.transfer_idle_timeout);
    }
    const ssize_t sent = ::send(t.fd.get(), t.out.data() + t.out_done, t.out.size() - t.out_done, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return fail(t);
    if (sent > 0) t.out_done += static_cast<std::size_t>(sent);
    if (t.out_done == t.out.size()) t.watch->set_interest(net::Watch::kRead);
  }
  if ((what & net::Watch::kRead) != 0) read(t);
}

void Transfers::fail(Transfer& t) {
  // One that had accepted it does not want to give this zone, or could not: that is no sign of death.
  if (t.connecting) choice_.refused(t.place, t.sent, options_.resolver_timeout, net::now());
  if (t.begun) return finish(t, Ending::kBroken, {});
  try_next(t);
}

void Transfers::wait(Transfer& t, Duration at_most) {
  t.deadline = net::now() + at_most;
  t.timer->set(std::min(at_most, kClientLook));
}

void Transfers::on_timer(Transfer& t) {
  if (has_left(t)) return finish(t, Ending::kBroken, {});
  if (t.paused && backlog_ && backlog_(t.asker) <= kGoOnAt) {
    t.paused = false;
    wait(t, options_.transfer_idle_timeout);
    t.watch->set_interest(net::Watch::kRead);
    return;
  }
  const Instant now = net::now();
  if (t.paused && now - t.sent < options_.transfer_idle_timeout) return t.timer->set(kLookAgain);
  if (!t.paused && now < t.deadline) return t.timer->set(std::min(t.deadline - now, kClientLook));
  if (!t.begun) ++stats_.timeouts;
  fail(t);
}

void Transfers::read(Transfer& t) {
  const ssize_t got = recv(t.fd.get(), t.in.get() + t.in_size, kBuffer - t.in_size, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return fail(t);
  if (has_left(t)) {  // what came says all the same that the upstream lives
    if (!t.begun) choice_.answered(t.place, t.handshake, net::now());
    return finish(t, Ending::kBroken, {});
  }
  wait(t, options_.transfer_idle_timeout);
  t.in_size += static_cast<std::size_t>(got);
  std::size_t from = 0;
  while (t.in_size - from >= 2) {
    std::uint8_t* const at = t.in.get() + from;
    const auto size = static_cast<std::size_t>(at[0] << 8 | at[1]);
    if (t.in_size - from - 2 < size) break;
    if (!relay(t, {at + 2, size})) return;
    from += 2 + size;
  }
  std::memmove(t.in.get(), t.in.get() + from, t.in_size - from);
  t.in_size -= from;
  pause_or_go_on(t);
}

void Transfers::pause_or_go_on(Transfer& t) {
  if (!backlog_ || backlog_(t.asker) <= kPauseAt) return;
  t.paused = true;
  t.sent = net::now();  // from here on: since when it has been paused
  t.watch->set_interest(net::Watch::kNone);
  t.timer->set(kLookAgain);
}

bool Transfers::relay(Transfer& t, std::span<std::uint8_t> message) {
  if (!belongs(std::span(t.out).subspan(2), message, t.begun)) {
    ++stats_.rejected;
    return true;
  }
  if (!t.begun) {
    choice_.answered(t.place, t.handshake, net::now());
    ++stats_.replies;
    if (!upstream::is_good(dns::read_head(message).rcode)) {
      if (t.bad_reply.empty()) t.bad_reply.assign(message.begin(), message.end());
      try_next(t);
      return false;
    }
  }
  message[0] = t.query[0];
  message[1] = t.query[1];
  if (t.end.take(message) == upstream::TransferEnd::Verdict::kLast) {
    finish(t, Ending::kReply, message);
    return false;
  }
  t.begun = true;
  done_(Ending::kMore, t.asker, t.tag, t.query, message);
  return true;
}

void Transfers::finish(Transfer& t, Ending ending, std::span<const std::uint8_t> reply) {
  const auto at = std::find_if(running_.begin(), running_.end(), [&](const auto& other) { return other.get() == &t; });
  const std::unique_ptr<Transfer> last = std::move(*at);
  running_.erase(at);
  done_(ending, last->asker, last->tag, last->query, reply);
}

void Transfers::end_all() {
  while (!running_.empty()) {
    finish(*running_.back(), running_.back()->begun ? Ending::kBroken : Ending::kNoUpstream, {});
  }
}

}  // namespace har::forward
