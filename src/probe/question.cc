#include "probe/question.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "config/host_text.h"
#include "dns/match.h"
#include "dns/types.h"
#include "net/clock.h"
#include "net/sockaddr.h"

namespace har::probe {

namespace {

constexpr int kDatagramsPerTurn = 8;  // strays cannot keep us busy
constexpr std::size_t kMostLingering = 256;

std::uint16_t random_id() {
  std::uint16_t id = 0;
  HAR_ASSERT(getrandom(&id, sizeof id, 0) == sizeof id);
  return id;
}

// What a zone says of a host is held to what the configuration may say of it. Nothing left is no data.
dns::Addresses of_hosts(dns::Addresses found) {
  std::erase_if(found.addresses, [](const IpAddress& address) { return !config::is_host_address(address); });
  if (found.status == dns::Addresses::Status::kFound && found.addresses.empty()) {
    found.status = dns::Addresses::Status::kNoData;
  }
  return found;
}

std::string_view word(std::uint8_t rcode) {
  switch (rcode) {
    case dns::kFormErr:
      return "FORMERR";
    case dns::kServFail:
      return "SERVFAIL";
    case dns::kNotImp:
      return "NOTIMP";
    case dns::kRefused:
      return "REFUSED";
    default:
      return "an error";
  }
}

}  // namespace

Question::Question(Asking& asking, std::vector<std::uint8_t> name, std::uint16_t type,
                   std::optional<upstream::Place> only, Answered answered, Finished finished)
    : asking_(asking),
      name_(std::move(name)),
      type_(type),
      only_(only),
      answered_(std::move(answered)),
      finished_(std::move(finished)),
      timer_(asking.loop, [this] { begin(); }) {
  timer_.set(Duration::zero());
}

Question::~Question() {
  if (is_lingering_) --asking_.lingering;
}

// The timer's callback: the beginning, a wake-up of the exchange, or the end of listening.
void Question::begin() {
  if (is_answered_) {
    const Finished finished = std::move(finished_);  // it may destroy this
    return finished();
  }
  const Instant now = net::now();
  if (tries_.empty()) {
    if (only_) {
      exchange_.start_single(*only_, asking_.choice, asking_.limits, now);
      const bool sent = send({.what = upstream::Do::kAsk, .place = *only_, .attempt = 0, .wake = {}});
      if (!sent) exchange_.refused(0, asking_.choice, asking_.limits, now);
      is_answered_ = true;
      answered_({});
      return linger();
    }
    exchange_.start(now);
  }
  step();
}

void Question::step() {
  for (;;) {
    const Instant now = net::now();
    const upstream::Step step = exchange_.next(asking_.choice, asking_.limits, now);
    switch (step.what) {
      case upstream::Do::kAsk:
        if (!send(step)) exchange_.refused(step.attempt, asking_.choice, asking_.limits, now);
        break;
      case upstream::Do::kWait:
        return timer_.set(step.wake - now);
      case upstream::Do::kPassBad:
        return answer({.kind = DnsEnding::Kind::kBad, .answer = {}, .why = word(first_bad_)});
      case upstream::Do::kGiveUp:
        return answer({.kind = DnsEnding::Kind::kSilent});
    }
  }
}

bool Question::send(const upstream::Step& step) {
  HAR_ASSERT(step.attempt == tries_.size());
  Try& t = *tries_.emplace_back(std::make_unique<Try>(step.attempt));
  t.query_size = dns::write_query(random_id(), name_, type_, t.query);
  const net::SocketAddress address(asking_.places.at(step.place));
  // A socket for one try: connected, so that the kernel drops what comes from elsewhere and tells of refusals; unbound,
  // so that it picks a random port.
  t.socket = net::Fd(socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!t.socket || connect(t.socket.get(), &address.generic, address.size()) != 0 ||
      ::send(t.socket.get(), t.query.data(), t.query_size, MSG_NOSIGNAL) < 0) {
    t.close();
    return false;
  }
  t.watch.emplace(asking_.loop, t.socket.get(), net::Watch::kRead, [this, &t](net::Watch::Interest) { read_udp(t); });
  return true;
}

void Question::read_udp(Try& t) {
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    const ssize_t n = recv(t.socket.get(), asking_.buffer.data(), asking_.buffer.size(), MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      return failed(t);  // ECONNREFUSED and the like
    }
    const std::span<const std::uint8_t> reply(asking_.buffer.data(), static_cast<std::size_t>(n));
    if (!dns::reply_matches(t.sent(), reply)) continue;
    if (dns::read_head(reply).truncated && !only_) return ask_over_tcp(t);
    return settle(t, reply);
  }
}

void Question::ask_over_tcp(Try& t) {
  t.close();
  t.over_tcp = true;
  t.connecting = std::make_unique<TcpProbe>([this, &t](int error) {
    if (error != 0) return failed(t);
    t.socket = t.connecting->take_socket();
    t.connecting.reset();
    std::array<std::uint8_t, 2 + sizeof t.query> message{};
    message[0] = static_cast<std::uint8_t>(t.query_size >> 8);
    message[1] = static_cast<std::uint8_t>(t.query_size & 0xFF);
    std::copy_n(t.query.begin(), t.query_size, message.begin() + 2);
    const std::size_t size = t.query_size + 2;
    // A new connection's buffer takes some hundred octets whole.
    if (::send(t.socket.get(), message.data(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) return failed(t);
    t.watch.emplace(asking_.loop, t.socket.get(), net::Watch::kRead, [this, &t](net::Watch::Interest) { read_tcp(t); });
  });
  const upstream::Place place = exchange_.place_of(t.attempt);
  if (t.connecting->start(asking_.loop, asking_.places.at(place)) != 0) failed(t);
}

void Question::read_tcp(Try& t) {
  const ssize_t n = recv(t.socket.get(), asking_.buffer.data(), asking_.buffer.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return failed(t);
  t.received.insert(t.received.end(), asking_.buffer.begin(), asking_.buffer.begin() + n);
  if (t.received.size() < 2) return;
  const std::size_t size = static_cast<std::size_t>(t.received[0] << 8 | t.received[1]);
  if (t.received.size() - 2 < size) return;
  const std::vector<std::uint8_t> received = std::move(t.received);
  const std::span<const std::uint8_t> reply = std::span(received).subspan(2, size);
  // One question on this connection: a reply to another one is no reply.
  if (!dns::reply_matches(t.sent(), reply)) return failed(t);
  settle(t, reply);
}

void Question::failed(Try& t) {
  t.close();
  exchange_.refused(t.attempt, asking_.choice, asking_.limits, net::now());
  if (is_answered_) return linger();
  step();
}

void Question::settle(Try& t, std::span<const std::uint8_t> reply) {
  t.close();
  const std::uint8_t rcode = dns::read_head(reply).rcode;
  if (asking_.heard) asking_.heard(asking_.places.at(exchange_.place_of(t.attempt)).ip, exchange_.sent_at(t.attempt));
  const auto worth = exchange_.replied(t.attempt, rcode, asking_.choice, net::now());
  if (is_answered_) return linger();
  if (worth == upstream::Worth::kGood) {
    return answer({.kind = DnsEnding::Kind::kAnswer,
                   .answer = of_hosts(dns::read_addresses(reply, type_, HostRecord::kMostAddresses)),
                   .why = {}});
  }
  if (worth == upstream::Worth::kFirstBad) first_bad_ = rcode;
  step();
}

void Question::answer(const DnsEnding& ending) {
  is_answered_ = true;
  answered_(ending);
  linger();
}

// Answered. What is still open is listened to until its try would have ended: an upstream that is only slower must not
// look dead. TCP is not waited for.
void Question::linger() {
  const Instant now = net::now();
  Instant until = now;
  for (const auto& t : tries_) {
    if (!t->is_open()) continue;
    const Instant end = exchange_.sent_at(t->attempt) + asking_.limits.try_timeout;
    if (t->over_tcp || end <= now || (!is_lingering_ && asking_.lingering >= kMostLingering))
      t->close();
    else
      until = std::max(until, end);
  }
  if (until > now && !std::exchange(is_lingering_, true)) ++asking_.lingering;
  // In a turn of its own: the caller may be a callback of what finished_() destroys.
  timer_.set(until - now);
}

}  // namespace har::probe
