#include "probe/prober.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/few.h"
#include "net/clock.h"
#include "net/one_shots.h"
#include "probe/http_exchange.h"
#include "probe/lateness.h"
#include "probe/own_trouble.h"
#include "probe/polite_close.h"
#include "probe/schedule.h"
#include "probe/tcp_probe.h"
#include "probe/tls_stream.h"

namespace har::probe {

namespace {

using health::CheckId;
using health::Outcome;

// So many probes start before the loop serves other events again.
constexpr int kStartsPerTurn = 64;
// What is due within this starts together: to be woken for each alone would cost half as much again as a TCP check
// does.
constexpr Duration kGather = std::chrono::milliseconds(5);
// A connection that does not stand by then holds up other TLS checks no longer: where a whole region is silent, the
// handshakes of the living must not wait for the dead ones' timeouts.
constexpr Duration kHandshakeHold = std::chrono::milliseconds(250);

}  // namespace

// A probe's life: connecting -> (TLS only: queued, until a handshake is free) -> asking -> the verdict.
struct Prober::Impl {
  struct Probe {
    CheckId id = 0;
    std::uint32_t serial = 0;
    enum class Phase : std::uint8_t { kConnecting, kQueued, kAsking } phase = Phase::kConnecting;
    bool tls = false;
    bool holds_handshake = false;  // counted by the schedule
    bool securing = false;         // in the handshake
    Instant started{};
    Patience patience;
    Instant queued_at{};
    Duration queued{};
    TcpAttempt tcp;
    std::optional<HttpExchange> exchange;
  };
  struct Entry {
    health::CheckTarget target;
    Few<std::unique_ptr<Probe>> probes;
  };
  struct Name {  // of a probe that may be gone
    CheckId id;
    std::uint32_t serial;
    Instant started;
  };
  struct Deadline {
    Instant at;
    CheckId id;
    std::uint32_t serial;
    bool operator>(const Deadline& other) const { return at > other.at; }
  };

  Impl(net::Loop& l, const Log& g, ProbeLimits m, std::uint64_t seed, Observed o)
      : loop(l),
        observed(std::move(o)),
        limits(m),
        schedule(m, seed),
        trouble(g),
        closer(l),
        waiting(l, [this](net::OneShots::Token token) { look(token); }),
        wake(l, [this] { serve(); }),
        deadline_timer(l, [this] { look_at_deadlines(); }),
        ticker(l, [this] { tick(); }) {}

  void arm() {
    if (schedule.in_flight() == 0 && lateness.is_ticking()) rest();
    const bool at_once = !handshake_queue.empty() && securing < limits.tls_handshakes;
    const Instant due = at_once ? Instant::min() : schedule.next_due();
    if (due == armed_for) return;
    armed_for = due;
    if (due == kNever) return wake.cancel();
    wake.set(at_once ? Duration::zero() : due - net::now());
  }

  void serve() {
    armed_for = kNever;
    while (!handshake_queue.empty() && securing < limits.tls_handshakes) {
      const Name name = handshake_queue.front();
      handshake_queue.pop_front();
      if (Probe* const probe = find(name.id, name.serial)) ask(*probe);
    }
    for (int i = 0; i < kStartsPerTurn; ++i) {
      const auto start = schedule.take_due(net::now(), kGather);
      if (!start) break;
      begin(*start);
    }
    trouble.tell(schedule, net::now());
    arm();
  }

  void begin(const Schedule::Start& start) {
    Entry& entry = entries.at(start.id);
    entry.probes.push_back(std::make_unique<Probe>());
    Probe& probe = **(entry.probes.end() - 1);
    const config::Check& check = entry.target.check;
    const Instant now = net::now();
    probe.id = start.id;
    probe.serial = start.serial;
    probe.started = now;
    probe.patience = {check.timeout, lateness.lost(now)};
    probe.tls = probe.holds_handshake = check.method == config::CheckMethod::kHttps;
    if (probe.tls) slow_connections.push_back({start.id, start.serial, now});
    if (!lateness.is_ticking()) {
      lateness.start(now);
      ticker.set(Lateness::kTick);
    }
    await_deadline({now + check.timeout, start.id, start.serial});
    int error = probe.tcp.start({.ip = entry.target.address, .port = check.port});
    if (error == 0) error = waiting.wait_for_write(probe.tcp.fd(), token_of(probe));
    if (error != 0) connected(probe, error);
  }

  static net::OneShots::Token token_of(const Probe& probe) {
    return static_cast<net::OneShots::Token>(probe.id) << 32U | probe.serial;
  }

  void look(net::OneShots::Token token) {
    Probe* const probe = find(static_cast<CheckId>(token >> 32U), static_cast<std::uint32_t>(token));
    if (probe == nullptr) return;
    if (probe->phase == Probe::Phase::kConnecting) return connected(*probe, probe->tcp.end());
    if (probe->exchange) go_on(*probe);
  }

  void connected(Probe& probe, int error) {
    if (error != 0) {
      const auto verdict = connect_verdict(error);
      return verdict ? finish(probe, *verdict, net::now()) : no_room(probe, error);
    }
    const config::Check& check = entries.at(probe.id).target.check;
    if (check.method == config::CheckMethod::kTcp) {
      const Instant now = net::now();
      closer.close(probe.tcp.take_socket());
      return finish(probe, {Outcome::kOk, 0, "connected"}, now);
    }
    if (!probe.tls) return ask(probe);
    if (!std::exchange(probe.holds_handshake, true)) schedule.handshake_began();
    if (securing < limits.tls_handshakes) return ask(probe);
    probe.phase = Probe::Phase::kQueued;
    probe.queued_at = net::now();
    handshake_queue.push_back({probe.id, probe.serial, probe.started});
  }

  void ask(Probe& probe) {
    if (probe.phase == Probe::Phase::kQueued) probe.queued = net::now() - probe.queued_at;
    probe.phase = Probe::Phase::kAsking;
    if (probe.tls) {
      probe.securing = true;
      ++securing;
    }
    const config::Check& check = entries.at(probe.id).target.check;
    std::optional<TlsStream> tls;
    if (probe.tls) {
      SSL_CTX* const context = contexts.get(check.http->ca_file, check.tls_verify, net::now());
      if (context == nullptr) return finish(probe, {Outcome::kOtherError, 0, "CA file cannot be read"}, net::now());
      tls.emplace(context, asked_host(check));
    }
    probe.exchange.emplace(probe.tcp.take_socket(), request_text(check), check, std::move(tls));
    go_on(probe);
  }

  void go_on(Probe& probe) {
    const net::Watch::Interest next = probe.exchange->go_on();
    if (next == net::Watch::kNone) return finish(probe, probe.exchange->verdict(), net::now());
    if (probe.securing && probe.exchange->is_secured()) secured(probe);
    const int error = waiting.wait_again(probe.exchange->fd(), token_of(probe), next);
    if (error != 0) no_room(probe, error);
  }

  void secured(Probe& probe) {
    if (std::exchange(probe.securing, false)) --securing;
    if (std::exchange(probe.holds_handshake, false)) schedule.handshake_ended();
    if (probe.tls) arm();
  }

  void await_deadline(const Deadline& next) {
    deadlines.push(next);
    if (deadlines.top().at == next.at) deadline_timer.set(next.at - net::now());
  }

  // Most probes are over when their time comes: they are only found to be gone.
  void look_at_deadlines() {
    while (!deadlines.empty()) {
      const Deadline next = deadlines.top();
      Probe* const probe = find(next.id, next.serial);
      const Instant now = net::now();
      if (probe != nullptr && next.at > now) return deadline_timer.set(next.at - now);
      deadlines.pop();
      if (probe == nullptr) continue;
      const Instant end = probe->started + probe->patience.lasts(lateness.lost(now));
      if (end <= now) {
        timed_out(*probe, now);
      } else {
        deadlines.push({end, next.id, next.serial});
      }
    }
  }

  void timed_out(Probe& probe, Instant now) {
    std::string_view reason = "timeout connecting";
    if (probe.phase == Probe::Phase::kQueued) reason = "timeout waiting for a handshake";
    if (probe.exchange) {
      reason = probe.exchange->has_head() ? "timeout in the body" : "timeout waiting for the response";
    }
    if (probe.securing) reason = "timeout in the TLS handshake";
    finish(probe, {Outcome::kTimeout, 0, reason}, now);
  }

  void finish(Probe& probe, const Verdict& verdict, Instant at) {
    const Instant now = net::now();
    if (probe.phase == Probe::Phase::kQueued) probe.queued = now - probe.queued_at;
    // What we kept waiting ourselves, in the queue for handshakes or longer in the loop than its deadline was put off,
    // is held against nobody.
    if (verdict.outcome == Outcome::kTimeout &&
        (probe.queued > Lateness::kForTimeouts || probe.patience.is_spoilt(lateness.lost(now)))) {
      ++discarded;
      trouble.not_counted(probe.patience.lost_of(lateness.lost(now)));
      const auto gone = detach(probe);
      schedule.ask_again(gone->id, gone->serial, now, true);
      return arm();
    }
    health::Observation observation;
    observation.outcome = verdict.outcome;
    observation.started = probe.started;
    observation.ended = at;
    observation.connect = probe.tcp.rtt();
    observation.total = at - probe.started;
    observation.rtt_counts = probe.queued <= Lateness::kForRtt && !lateness.was_late(probe.started, now);
    observation.status = verdict.status;
    observation.reason = verdict.reason;
    const auto gone = detach(probe);
    schedule.ended(gone->id, gone->serial);
    observed(gone->id, observation);  // may add, remove and repace whatever it likes
    arm();
  }

  // We lack descriptors, memory or ports: no word about the endpoint.
  void no_room(Probe& probe, int error) {
    const Instant now = net::now();
    ++discarded;
    trouble.no_room(error == kNoFreePort ? "no free local port" : std::strerror(error), schedule, now);
    const auto gone = detach(probe);
    schedule.ask_again(gone->id, gone->serial, now, false);
    arm();
  }

  // Out of everything that knows it; it ends with the caller's hold on it.
  std::unique_ptr<Probe> detach(Probe& probe) {
    if (probe.exchange) closer.close(probe.exchange->end());
    if (std::exchange(probe.securing, false)) --securing;
    if (std::exchange(probe.holds_handshake, false)) schedule.handshake_ended();
    auto& probes = entries.at(probe.id).probes;
    auto* const at = std::find_if(probes.begin(), probes.end(), [&](const auto& p) { return p.get() == &probe; });
    HAR_ASSERT(at != probes.end());
    auto gone = std::move(*at);
    probes.erase(at);
    return gone;
  }

  Probe* find(CheckId id, std::uint32_t serial) {
    const auto entry = entries.find(id);
    if (entry == entries.end()) return nullptr;
    for (const auto& probe : entry->second.probes) {
      if (probe->serial == serial) return probe.get();
    }
    return nullptr;
  }

  void tick() {
    const Instant now = net::now();
    lateness.tick(now);
    while (!slow_connections.empty() && now - slow_connections.front().started >= kHandshakeHold) {
      Probe* const probe = find(slow_connections.front().id, slow_connections.front().serial);
      slow_connections.pop_front();
      if (probe == nullptr || probe->phase != Probe::Phase::kConnecting || !probe->holds_handshake) continue;
      probe->holds_handshake = false;
      schedule.handshake_ended();
      arm();
    }
    ticker.set(Lateness::kTick);
  }

  // Nothing is under way: nobody need be woken.
  void rest() {
    lateness.stop();
    ticker.cancel();
    slow_connections.clear();
  }

  // fixed after construction
  net::Loop& loop;
  const Observed observed;
  // owned by this thread
  ProbeLimits limits;
  Schedule schedule;
  OwnTrouble trouble;
  Lateness lateness;
  PoliteCloser closer;
  TlsContexts contexts;
  net::OneShots waiting;
  std::unordered_map<CheckId, Entry> entries;
  std::priority_queue<Deadline, std::vector<Deadline>, std::greater<>> deadlines;  // of probes that may be gone
  std::uint32_t securing = 0;                                                      // handshakes under way
  std::deque<Name> handshake_queue;                                                // connected, waiting for one to end
  std::deque<Name> slow_connections;  // TLS probes by start, until kHandshakeHold has passed
  std::uint64_t discarded = 0;
  Instant armed_for = kNever;  // what `wake` is set to
  net::Timer wake, deadline_timer, ticker;
};

Prober::Prober(net::Loop& loop, const Log& log, ProbeLimits limits, std::uint64_t seed, Observed observed)
    : impl_(std::make_unique<Impl>(loop, log, limits, seed, std::move(observed))) {}
Prober::~Prober() = default;

void Prober::add(CheckId id, const health::CheckTarget& target, const health::Pace& pace) {
  impl_->schedule.add(id, Rhythm::of(target.check), pace, net::now());
  impl_->entries[id].target = target;
  impl_->arm();
}

void Prober::remove(CheckId id) {
  const auto at = impl_->entries.find(id);
  if (at == impl_->entries.end()) return;
  while (!at->second.probes.empty()) impl_->detach(**at->second.probes.begin());
  impl_->schedule.remove(id);
  impl_->entries.erase(at);
  impl_->arm();
}

void Prober::repace(CheckId id, const health::Pace& pace) {
  impl_->schedule.repace(id, pace);
  impl_->arm();
}

void Prober::check_now(CheckId id) {
  impl_->schedule.check_now(id, net::now());
  impl_->arm();
}

void Prober::check_all_now() {
  impl_->schedule.check_all_now(net::now());
  impl_->arm();
}

void Prober::set_limits(ProbeLimits limits) {
  impl_->limits = limits;
  impl_->schedule.set_limits(limits);
  impl_->arm();
}

void Prober::read_ca_files_again() { impl_->contexts.read_again(); }

std::size_t Prober::in_flight() const { return impl_->schedule.in_flight(); }
double Prober::stretch() const { return impl_->schedule.stretch(); }
Prober::Stats Prober::stats() const {
  return {.started = impl_->schedule.started(), .late = impl_->schedule.late(), .discarded = impl_->discarded};
}

}  // namespace har::probe
