#include "app/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "net/clock.h"

namespace har::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kBeatInterval = milliseconds(500);
constexpr Duration kAdoptInterval = milliseconds(50);
constexpr Duration kAdoptIntervalWhileLost = milliseconds(500);  // that may be for days
// What nothing was observed of: after the first round, when upstreams that failed have been asked three times again;
// and where that never ends, because addresses change faster than they can be checked.
constexpr Duration kAdoptedAfterFirstRound = seconds(10);
constexpr Duration kAdoptedAtLast = std::chrono::minutes(5);
constexpr Duration kLookDelay = milliseconds(50);  // many endpoints that begin are one look at their ways
constexpr Duration kCopyPatience = milliseconds(100);
constexpr Duration kReadyAtLast = seconds(2);       // SEMANTICS "Answering" 5
constexpr Duration kStandsBackAtLast = seconds(5);  // of the first round: who comes late for longer finds nobody dead

// Of several choices for one name in one batch clients saw only the last.
void collapse_choices(std::vector<health::Event>& events) {
  std::map<std::string, health::Event*> last;
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    if (event->kind != health::EventKind::kChoice) continue;
    const auto [entry, first] = last.emplace(event->name, &*event);
    if (first) continue;
    entry->second->old_value = event->old_value;
    event->name.clear();
  }
  std::erase_if(events, [](const health::Event& event) { return event.name.empty(); });
}

std::string address_text(const std::optional<IpAddress>& address) { return address ? address->to_string() : ""; }

}  // namespace

Checker::Checker(Log& log, net::Channel keeper)
    : log_(log),
      keeper_(std::move(keeper)),
      born_(net::now()),
      adopted_until_(born_ + kAdoptedAtLast),
      beat_timer_(loop_, [this] { on_beat(); }),
      tick_(loop_, [this] { on_tick(); }),
      flush_(loop_, [this] { on_flush(); }),
      adopt_(loop_, [this] { adopt_observed_slots(); }),
      trim_(loop_, [this] { give_memory_back(); }),
      look_(loop_, [this] { on_network({}); }),
      fresh_round_(loop_, [this] { fresh_round_of("several"); }) {}

Checker::~Checker() = default;

int Checker::run() {
  if (const auto code = start()) return *code;
  keeper_watch_ = std::make_unique<net::Watch>(loop_, keeper_.fd(), net::Watch::kRead,
                                               [this](net::Watch::Interest) { on_keeper(); });
  handle_postponed();
  first_round_since_ = net::now();
  on_beat();
  on_flush();
  courtesy_.stand_back_for([this] { loop_.run(); });
  if (!is_stopping_) loop_.run();
  prober_.reset();  // no more observations
  put_history();
  look_at_counters(memory_.names.size());
  put_state(memory_.names.size());
  store_.reset();  // writes what waits
  copy_->settle(kCopyPatience);
  return 0;
}

void Checker::stop() {
  is_stopping_ = true;
  loop_.stop();
}

// ---- the keeper

void Checker::on_keeper() {
  net::Message message;
  const auto status = keeper_.receive(message, 0);
  if (status == net::Channel::Status::kClosed) return stop();
  if (status == net::Channel::Status::kMessage) handle(message);
  handle_postponed();
}

// What came while we waited for something else. Nothing else matters to one who has been told to stop.
void Checker::handle_postponed() {
  while (!postponed_.empty() && !is_stopping_) {
    const auto is_stop = [](const net::Message& message) { return message.type == kStop; };
    if (std::any_of(postponed_.begin(), postponed_.end(), is_stop)) return stop();
    net::Message next = std::move(postponed_.front());
    postponed_.pop_front();
    handle(next);
  }
}

void Checker::handle(net::Message& message) {
  switch (message.type) {
    case kReload:
      courtesy_.stand_back_for([this] { reload(); });
      keeper_.send(kReloadOver);
      return;
    case kStop:
      return stop();
    case kCommitted: {
      net::Unpacker fields(message.body);
      if (fields.number() != generation_) return;
      fold_retired_counters();
      if (std::exchange(reload_to_report_, false)) {
        log_.info("reloaded", {{"names", config_->names.size()}, {"generation", generation_}});
      }
      return;
    }
    default:
      log_.error("unknown_message", {{"type", message.type}});
  }
}

// With very many names a start or a reload takes seconds: it says between its steps that we live.
void Checker::beat() { keeper_.send(kBeat, {}, {}, 0); }

void Checker::on_beat() {
  beat();
  memory_.writer->beat(net::now());
  say_ready_when_due();
  if (stands_back_for_start_ &&
      (directory_->first_round_done() || net::now() - first_round_since_ >= kStandsBackAtLast)) {
    stands_back_for_start_ = false;
    loop_.stop();  // of run(), which goes on
  }
  if (network_lost_) on_network({});  // a message about it may have been lost
  beat_timer_.set(kBeatInterval);
}

bool Checker::is_first_round_over() const {
  return directory_->first_round_done() || net::now() - born_ >= kReadyAtLast;
}

void Checker::say_ready_when_due() {
  if (ready_ || !is_first_round_over()) return;
  ready_ = true;
  keeper_.send(kReady);
}

// ---- evidence in

void Checker::on_resolved(const std::string& host, const std::vector<IpAddress>& addresses) {
  directory_->resolved(host, addresses, net::now());
  apply_changes();
}

void Checker::on_resolution_failed(const std::string& host) {
  directory_->resolution_failed(host, net::now());
  apply_changes();
}

void Checker::on_observed(health::CheckId check, const health::Observation& observation) {
  directory_->observe(check, observation, net::now());
  const WallTime wall = net::wall_now();
  const IpAddress& address = directory_->target(check).address;
  for (auto& use : directory_->uses(check)) {
    is_counting_[use.slot] = true;
    if (samples_.size() >= kSamplesAtOnce) continue;
    samples_.push_back({wall, config_->names[use.slot].host, std::move(use.candidate), address, observation.connect,
                        observation.total, observation.outcome});
  }
  apply_changes();
}

void Checker::on_upstreams(const std::vector<IpPort>& upstreams) {
  upstreams_ = upstreams;
  std::string list;
  for (const IpPort& upstream : upstreams_) list += (list.empty() ? "" : ",") + upstream.to_string();
  log_.info("upstreams", {{"list", list}});
  memory_.writer->set_upstreams(upstreams_);
  resolver_->set_upstreams(upstreams_, config_->resolver_timeout);
  look_at_ways();
  ways_.take_concern({});  // everything is asked anew in any case
  fresh_round_of("resolv.conf");
}

void Checker::on_tick() {
  directory_->tick(net::now());
  apply_changes();
}

// ---- consequences out

void Checker::apply_changes() {
  health::Changes changes = directory_->take_changes();
  for (const std::uint32_t slot : changes.slots) {
    write_slot(slot);
    mark_dirty(slot);
  }
  for (const std::uint32_t slot : changes.shifts) write_slot(slot);  // nothing that the disk should know
  for (const health::CheckId check : changes.stopped) prober_->remove(check);
  for (const health::CheckId check : changes.started) {
    prober_->add(check, directory_->target(check), directory_->pace(check));
  }
  for (const health::CheckId check : changes.repaced) prober_->repace(check, directory_->pace(check));
  tell_events(changes.events);
  if (!changes.started.empty() && !look_.is_set()) look_.set(kLookDelay);
  if (changes.ask_all) {
    prober_->check_all_now();
    resolver_->ask_upstreams();
  }
  follow_isolation();
  if (const Instant next = directory_->next_tick(); next != kNever) {
    tick_.set(next - net::now());
  } else {
    tick_.cancel();
  }
  if (!ready_) say_ready_when_due();
}

void Checker::write_slot(std::uint32_t slot) {
  if (!adopted_.empty() && std::binary_search(adopted_.begin(), adopted_.end(), slot) && !may_replace_adopted(slot)) {
    return;
  }
  memory_.writer->write(slot, directory_->content(slot));
}

// What our predecessor observed is worth more than what we have only read; and more than the first of our own
// observations, where nothing is known yet of an endpoint that may stand before that one. For the others we wait no
// longer than a start does. Where nothing can be observed, because its hosts have no addresses any more, it must end
// all the same; unless our network is lost, which is why nothing is.
bool Checker::may_replace_adopted(std::uint32_t slot) const {
  const Instant now = net::now();
  if (!directory_->has_own_observation(slot)) return !network_lost_ && now >= adopted_until_;
  if (now - born_ >= kReadyAtLast) return true;
  const auto endpoints = directory_->report(slot);
  const auto is_unknown = [](const health::EndpointReport& e) { return e.state == health::State::kUnknown; };
  if (std::any_of(endpoints.begin(), endpoints.end(), is_unknown)) return false;
  const config::Name& name = config_->names[slot];
  return std::none_of(name.candidates.begin(), name.candidates.end(), [&](const config::Candidate& candidate) {
    const auto is_its = [&](const health::EndpointReport& e) { return e.candidate == candidate.title; };
    if (std::any_of(endpoints.begin(), endpoints.end(), is_its)) return false;
    const auto stats = resolver_->stats(candidate.check->host);
    return stats.successes + stats.timeouts + stats.errors == 0;  // its first resolution is under way
  });
}

void Checker::adopt_observed_slots() {
  const Instant now = net::now();
  if (network_lost_) {
    adopted_until_ = now + kAdoptedAtLast;  // from its return on
  } else if (directory_->first_round_done()) {
    adopted_until_ = std::min(adopted_until_, now + kAdoptedAfterFirstRound);
  }
  std::erase_if(adopted_, [this](std::uint32_t slot) {
    if (!may_replace_adopted(slot)) return false;
    memory_.writer->write(slot, directory_->content(slot));
    return true;
  });
  if (!adopted_.empty()) adopt_.set(network_lost_ ? kAdoptIntervalWhileLost : kAdoptInterval);
}

void Checker::tell_events(std::vector<health::Event>& events) {
  if (events.empty()) return;
  collapse_choices(events);
  const WallTime wall = net::wall_now();
  std::vector<store::EventRow> rows;
  for (health::Event& event : events) {
    mark_dirty(event.slot);
    if (event.kind == health::EventKind::kState) {
      log_.info("endpoint_" + event.new_value, {{"name", event.name},
                                                {"candidate", event.candidate},
                                                {"address", address_text(event.address)},
                                                {"was", event.old_value},
                                                {"reason", event.reason}});
    } else {
      log_.info("choice",
                {{"name", event.name}, {"was", event.old_value}, {"now", event.new_value}, {"reason", event.reason}});
    }
    rows.push_back({wall, std::move(event)});
  }
  store_->put_events(std::move(rows));
}

}  // namespace har::app
