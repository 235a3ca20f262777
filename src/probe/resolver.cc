#include "probe/resolver.h"

#include <algorithm>
#include <array>
#include <random>
#include <unordered_map>
#include <utility>

#include "dns/name.h"
#include "dns/types.h"
#include "net/clock.h"
#include "probe/due_heap.h"
#include "probe/host_record.h"
#include "probe/question.h"

namespace har::probe {

namespace {

// Thirty thousand hosts become due in one moment at start: some 6,400 questions a second are quick and no storm, and
// hosts whose servers are silent (2 s a question) leave room for the others.
constexpr std::size_t kMostInFlight = 256;
constexpr Duration kSlot = std::chrono::milliseconds(10);
constexpr std::size_t kMostPerSlot = 64;
constexpr Duration kLeastTotal = std::chrono::seconds(2);

}  // namespace

struct Resolver::Impl {
  struct Entry {
    Entry(Duration frequency, Instant now) : record(frequency, now) {}
    HostRecord record;
    std::uint64_t number = 0;           // a host that went and came again is another one
    const std::string* host = nullptr;  // the key of `entries`
    std::uint32_t heap_place = 0;
    bool is_queued = false;
    ResolverStats stats;
  };
  using Entries = std::unordered_map<std::string, Entry>;

  Impl(net::Loop& loop, const Log& l, Resolved r, Failed f)
      : log(l),
        resolved(std::move(r)),
        failed(std::move(f)),
        asking(loop),
        pump_timer(loop, [this] { pump(); }),
        care_timer(loop, [this] { take_care(); }) {}

  // ---- hosts and their order

  void place(Entry& entry) {
    unplace(entry);
    const Instant due = entry.record.next_event();
    if (due == kNever) return;
    queue.add(entry, due);
    entry.is_queued = true;
  }

  void unplace(Entry& entry) {
    if (std::exchange(entry.is_queued, false)) queue.remove(entry);
  }

  void arm() {
    if (!has_upstreams || queue.empty() || in_flight >= kMostInFlight) return pump_timer.cancel();
    const Instant now = net::now();
    Instant when = queue.first().due;
    if (slot_used >= kMostPerSlot) when = std::max(when, slot + kSlot);
    pump_timer.set(when - now);
  }

  void pump() {
    const Instant now = net::now();
    if (now - slot >= kSlot) {
      slot = now;
      slot_used = 0;
    }
    while (!queue.empty() && queue.first().due <= now && in_flight < kMostInFlight && slot_used < kMostPerSlot) {
      Entry& entry = *queue.first().entry;
      const std::string host = *entry.host;
      HostNews news = entry.record.look(now);
      if (news.what == HostNews::What::kNothing) news = ask(host, entry, now);
      place(entry);
      tell(host, news);  // the entry may be gone then
    }
    arm();
  }

  HostNews ask(const std::string& host, Entry& entry, Instant now) {
    const HostRecord::Due due = entry.record.take_due(now);
    const auto name = dns::name_to_wire(host);
    HostNews news;
    for (const Family family : {Family::kV4, Family::kV6}) {
      if (!(family == Family::kV4 ? due.v4 : due.v6)) continue;
      if (name) {
        ask(host, entry, *name, family);
      } else {
        news = entry.record.ended(family, {.kind = DnsEnding::Kind::kBad, .why = "not a host name"}, now, 0);
      }
    }
    return news;
  }

  void ask(const std::string& host, const Entry& entry, const std::vector<std::uint8_t>& name, Family family) {
    ++in_flight;
    ++slot_used;
    start(name, family == Family::kV4 ? dns::kTypeA : dns::kTypeAaaa, std::nullopt,
          [this, host, family, serial = entry.number](const DnsEnding& ending) {
            --in_flight;
            answered(host, serial, family, ending);
          });
  }

  void start(const std::vector<std::uint8_t>& name, std::uint16_t type, std::optional<upstream::Place> only,
             Question::Answered then) {
    const std::uint64_t serial = ++last_serial;
    questions.emplace(serial, std::make_unique<Question>(asking, name, type, only, std::move(then),
                                                         [this, serial] { questions.erase(serial); }));
  }

  void answered(const std::string& host, std::uint64_t serial, Family family, const DnsEnding& ending) {
    const auto at = entries.find(host);
    if (at != entries.end() && at->second.number == serial) {
      const HostNews news = at->second.record.ended(family, ending, net::now(), random(generator));
      place(at->second);
      tell(host, news);
    }
    arm();
    take_care();
  }

  void tell(const std::string& host, const HostNews& news) {
    const auto at = entries.find(host);
    if (at == entries.end()) return;
    ResolverStats& stats = at->second.stats;
    switch (news.what) {
      case HostNews::What::kNothing:
        return;
      case HostNews::What::kAddresses:
        ++(news.addresses.empty() ? stats.errors : stats.successes);
        return resolved(host, news.addresses);
      case HostNews::What::kFailed:
        ++(news.silent ? stats.timeouts : stats.errors);
        return failed(host, news.why);
    }
  }

  // ---- the upstreams' health

  void ask_all_upstreams() {
    for (const upstream::Place place : asking.places.order()) start({0}, dns::kTypeNs, place, [](const DnsEnding&) {});
  }

  // Hosts whose last attempt failed need not wait for their time when something may have changed.
  void ask_again_what_failed(Instant now) {
    for (auto& [host, entry] : entries) {
      entry.record.ask_again_if_failed(now);
      place(entry);
    }
    arm();
  }

  void take_care() {
    const Instant now = net::now();
    bool one_is_back = false;
    while (const auto change = asking.choice.next_change(now)) {
      one_is_back |= change->alive;
      log.debug("resolver_upstream", {{"address", asking.places.at(change->place).to_string()},
                                      {"state", change->alive ? "alive" : "dead"}});
    }
    if (one_is_back) ask_again_what_failed(now);
    while (const auto place = asking.choice.probe_due(now)) {
      start({0}, dns::kTypeNs, *place, [](const DnsEnding&) {});  // `. NS`
    }
    const Instant wake = asking.choice.wake();
    if (wake == kNever || entries.empty()) return care_timer.cancel();
    care_timer.set(wake - now);
  }

  // fixed after construction
  const Log& log;
  const Resolved resolved;
  const Failed failed;
  // owned by this thread
  Entries entries;
  DueHeap<Entry> queue;
  bool has_upstreams = false;  // a set was given, be it empty
  std::size_t in_flight = 0;   // questions without answer
  Instant slot{};
  std::size_t slot_used = 0;
  std::uint64_t last_serial = 0;
  std::minstd_rand generator{std::random_device{}()};
  std::uniform_real_distribution<double> random{0, 1};
  Asking asking;
  std::unordered_map<std::uint64_t, std::unique_ptr<Question>> questions;
  net::Timer pump_timer, care_timer;
};

Resolver::Resolver(net::Loop& loop, const Log& log, Resolved resolved, Failed failed)
    : impl_(std::make_unique<Impl>(loop, log, std::move(resolved), std::move(failed))) {}
Resolver::~Resolver() = default;

void Resolver::set_upstreams(std::vector<IpPort> upstreams, Duration resolver_timeout) {
  Impl& me = *impl_;
  const Instant now = net::now();
  me.has_upstreams = true;
  me.asking.places.assign(upstreams);
  me.asking.choice.set(me.asking.places.order(), now);
  me.asking.limits = {.try_timeout = resolver_timeout, .total = std::max(kLeastTotal, resolver_timeout)};
  me.ask_again_what_failed(now);
  me.take_care();
}

void Resolver::begin_anew() {
  Impl& me = *impl_;
  const Instant now = net::now();
  me.asking.choice.set({}, now);
  me.asking.choice.set(me.asking.places.order(), now);
  for (auto& [host, entry] : me.entries) {
    entry.record.ask_again(now);
    me.place(entry);
  }
  me.arm();
  me.take_care();
}

void Resolver::ask_upstreams() { impl_->ask_all_upstreams(); }

std::function<void(const IpAddress& upstream, Instant asked)>& Resolver::heard() { return impl_->asking.heard; }

void Resolver::set_hosts(std::vector<Host> hosts) {
  Impl& me = *impl_;
  const Instant now = net::now();
  std::unordered_map<std::string, Duration> wanted;
  for (Host& host : hosts) wanted.emplace(std::move(host.host), host.frequency);
  for (auto at = me.entries.begin(); at != me.entries.end();) {
    if (wanted.contains(at->first)) {
      ++at;
      continue;
    }
    me.unplace(at->second);
    at = me.entries.erase(at);
  }
  for (const auto& [host, frequency] : wanted) {
    const auto [at, is_new] = me.entries.try_emplace(host, frequency, now);
    if (is_new) {
      at->second.number = ++me.last_serial;
      at->second.host = &at->first;
    } else {
      at->second.record.set_frequency(frequency, now, me.random(me.generator));
    }
    me.place(at->second);
  }
  me.arm();
  me.take_care();
}

void Resolver::remember(const std::string& host, const std::vector<IpAddress>& addresses) {
  const auto at = impl_->entries.find(host);
  if (at != impl_->entries.end()) at->second.record.remember(addresses);
}

ResolverStats Resolver::stats(const std::string& host) const {
  const auto at = impl_->entries.find(host);
  return at == impl_->entries.end() ? ResolverStats{} : at->second.stats;
}

}  // namespace har::probe
