#include "world.h"

#include <algorithm>

#include "config/load.h"
#include "dns/name.h"
#include "text.h"

namespace har::replay {
namespace {

using health::Observation;
using health::Outcome;

std::string in_words(const health::Event& event) {
  const bool state = event.kind == health::EventKind::kState;
  std::string text = (state ? "state " : "choice ") + event.name;
  if (state) text += " " + event.candidate;
  if (event.address) text += " " + event.address->to_string();
  return text + ": " + event.old_value + " -> " + event.new_value + ": " + event.reason;
}

}  // namespace

World::Table::Table(const table::Plan& plan)
    : memory((table::Writer::bytes_needed(plan) + 63) / 64),
      writer(table::Writer::create(std::as_writable_bytes(std::span(memory)), plan)),
      reader(table::Reader::open(std::as_bytes(std::span(memory))).value()),
      turns(2011, static_cast<std::uint32_t>(plan.names.size())) {}

World::World() = default;

void World::run(const std::string& line, const std::string& block) {
  const std::vector<std::string> sides = split(line, "->");
  const Words words = words_of(line);
  const std::string& verb = words.at(0);
  // Expectations look at what the step before them left behind.
  const bool expects = verb == "event" || verb == "no" || verb == "rewritten" || verb == "state" || verb == "query" ||
                       verb == "hosts" || verb == "checks" || verb == "pace" || verb == "first_round" ||
                       verb == "check";
  if (!expects) {
    events_.clear();
    rewritten_.clear();
  }

  if (verb != "config" && verb != "upstreams" && verb != "upstream" && config_ == nullptr) {
    throw Mismatch("a scenario begins with its config");
  }
  if (verb == "config" || verb == "reload") {
    configure(block);
  } else if (verb == "at") {
    at(words);
  } else if (verb == "resolve") {
    resolve(words);
  } else if (verb == "probe") {
    probe(words);
  } else if (verb == "network") {
    network(words);
  } else if (verb == "stored") {
    stored(words);
  } else if (verb == "restore") {
    directory_.restore(stored_, now_);
    follow();
  } else if (verb == "drain" || verb == "undrain") {
    drain(words, verb == "drain");
  } else if (verb == "upstreams") {
    std::vector<IpAddress> list;
    for (std::size_t i = 1; i < words.size(); ++i) list.push_back(read_address(words[i]));
    upstreams_.set(list, now_);
  } else if (verb == "upstream") {
    upstream(words);
  } else if (verb == "query") {
    if (sides.size() != 2) throw Mismatch("write: query NAME TYPE [options] -> what is expected");
    query(sides[0], sides[1]);
  } else if (verb == "state") {
    expect_state(words);
  } else if (verb == "event") {
    expect_event(trim(line.substr(5)), true);
  } else if (verb == "no") {
    expect_event(line.size() > 8 ? trim(line.substr(8)) : "", false);
  } else if (verb == "rewritten") {
    expect_rewritten(words);
  } else if (verb == "pace") {
    expect_pace(words);
  } else if (verb == "check") {
    expect_check(words);
  } else if (verb == "hosts") {
    Words got;
    for (const health::Directory::Host& host : directory_.hosts()) got.push_back(host.host);
    if (got != Words(words.begin() + 1, words.end())) throw Mismatch("other hosts are to be resolved");
  } else if (verb == "checks") {
    need(words, 2, "checks NUMBER");
    if (running_.size() != read_number(words[1])) throw Mismatch(std::to_string(running_.size()) + " checks run");
  } else if (verb == "first_round") {
    need(words, 2, "first_round done|pending");
    if (directory_.first_round_done() != (words[1] == "done")) throw Mismatch("the first round is not " + words[1]);
  } else {
    throw Mismatch("'" + verb + "' is no word of a scenario");
  }
}

void World::configure(const std::string& text) {
  const config::FileSource files = [&text](const std::string& path) -> Result<std::string> {
    if (path == "scenario") return text;
    return failure("a scenario has no files");
  };
  const config::Loaded loaded = config::load("scenario", files, [](const std::string&) { return std::nullopt; });
  if (loaded.config == nullptr) throw Mismatch("configuration: " + loaded.mistakes.at(0).to_string());
  config_ = loaded.config;
  table::Plan plan;
  for (const config::Name& name : config_->names) {
    plan.names.push_back({dns::name_to_wire(name.host).value(), name.https_records == config::HttpsRecords::kForward});
  }
  plan.generation = ++generation_;
  table_ = std::make_unique<Table>(plan);
  directory_.configure(config_, now_);
  follow();
  if (rewritten_.size() != config_->names.size()) throw Mismatch("not every slot of the new table is written");
}

void World::network(const Words& words) {
  need(words, 2, "network usable|lost|changed");
  if (words[1] == "changed") {
    directory_.network_changed(now_);
  } else if (words[1] == "usable" || words[1] == "lost") {
    directory_.set_routes(words[1] == "usable", {}, now_);
  } else {
    throw Mismatch("'" + words[1] + "' is nothing that a network can be");
  }
  follow();
}

void World::follow() {
  const health::Changes changes = directory_.take_changes();
  for (const std::uint32_t slot : changes.slots) {
    table_->writer.write(slot, directory_.content(slot));
    rewritten_.insert(slot);
  }
  for (const std::uint32_t slot : changes.shifts) table_->writer.write(slot, directory_.content(slot));
  table_->writer.set_network_lost(directory_.isolation().is_lost());
  for (const health::CheckId id : changes.stopped) running_.erase(id);
  for (const health::CheckId id : changes.started) running_.insert(id);
  for (const health::Event& event : changes.events) events_.push_back(in_words(event));
}

// Stops at every moment at which the directory wants to be looked after.
void World::advance(Duration by) {
  const Instant until = now_ + by;
  for (Instant due = directory_.next_tick(); due <= until; due = directory_.next_tick()) {
    if (due < now_) throw Mismatch("a tick is due in the past");
    now_ = due;
    directory_.tick(now_);
    follow();
    if (directory_.next_tick() == due) throw Mismatch("a tick changes nothing and stays due");
  }
  now_ = until;
}

void World::at(const Words& words) {
  need(words, 2, "at +DURATION or at DURATION (since the start)");
  if (words[1].starts_with('+')) return advance(read_duration(words[1].substr(1)));
  const Duration since_start = read_duration(words[1]);
  if (start_ + since_start < now_) throw Mismatch("time does not go back");
  advance(start_ + since_start - now_);
}

void World::resolve(const Words& words) {
  need(words, 3, "resolve HOST ADDRESS... | withdrawn | failed");
  if (words[2] == "failed") {
    directory_.resolution_failed(words[1], now_);
  } else {
    std::vector<IpAddress> addresses;
    for (std::size_t i = 2; i < words.size() && words[2] != "withdrawn"; ++i)
      addresses.push_back(read_address(words[i]));
    directory_.resolved(words[1], addresses, now_);
  }
  follow();
}

// "[NAME/]CANDIDATE[@ADDRESS]"
std::vector<health::CheckId> World::checks_of(const std::string& who) const {
  const std::vector<std::string> at = split(who, "@");
  const std::vector<std::string> path = split(at[0], "/");
  std::vector<health::CheckId> found;
  for (const health::CheckId id : running_) {
    if (at.size() > 1 && directory_.target(id).address != read_address(at[1])) continue;
    const auto uses = directory_.uses(id);
    if (std::any_of(uses.begin(), uses.end(), [&](const health::Directory::Use& use) {
          return use.candidate == path.back() && (path.size() == 1 || name_of(use.slot) == path[0]);
        })) {
      found.push_back(id);
    }
  }
  if (found.empty()) throw Mismatch("nothing checks " + who);
  return found;
}

void World::probe(const Words& words) {
  need(words, 3, "probe CANDIDATE[@ADDRESS] OUTCOME [TIME[/CONNECT]] [xN [every DURATION]] [started -DURATION] [late]");
  Observation observation;
  std::string reason;
  std::size_t i = 2;
  const std::string& outcome = words[i++];
  if (outcome == "ok") {
    observation.outcome = Outcome::kOk;
  } else if (outcome == "timeout") {
    observation.outcome = Outcome::kTimeout;
  } else if (outcome == "refused") {
    observation.outcome = Outcome::kConnectError;
    reason = "refused";
  } else if (outcome == "status") {
    need(words, 4, "probe CANDIDATE status NUMBER");
    observation.outcome = Outcome::kResponseError;
    observation.status = static_cast<std::uint16_t>(read_number(words[i]));
    reason = "status " + words[i++];
  } else if (outcome == "error") {
    observation.outcome = Outcome::kOtherError;
  } else {
    throw Mismatch("'" + outcome + "' is no outcome");
  }
  unsigned times = 1;
  Duration every{};
  Duration started_before{};
  for (; i < words.size(); ++i) {
    if (words[i][0] == 'x') {
      times = read_number(words[i].substr(1));
    } else if (words[i] == "late") {
      observation.rtt_counts = false;
    } else if (words[i] == "every" && i + 1 < words.size()) {
      every = read_duration(words[++i]);
    } else if (words[i] == "started" && i + 1 < words.size()) {
      started_before = -read_duration(words[++i]);
    } else {
      const std::vector<std::string> parts = split(words[i], "/");
      observation.total = read_duration(parts[0]);
      observation.connect = read_duration(parts.back());
    }
  }
  observation.reason = reason;
  for (unsigned n = 0; n < times; ++n) {
    if (n > 0 || every > Duration::zero()) advance(every);
    for (const health::CheckId id : checks_of(words[1])) {
      observation.started = now_ - started_before;
      observation.ended = now_;
      directory_.observe(id, observation, now_);
    }
    follow();
  }
}

void World::stored(const Words& words) {
  need(words, 5, "stored NAME CANDIDATE ADDRESS STATE [RTT] [age DURATION] [success DURATION] [chosen] [drained]");
  health::StoredEndpoint row;
  row.name = words[1];
  row.candidate = words[2];
  row.address = read_address(words[3]);
  row.state = words[4] == "up"     ? health::State::kUp
              : words[4] == "down" ? health::State::kDown
                                   : health::State::kUnknown;
  row.age = std::chrono::seconds(10);
  for (std::size_t i = 5; i < words.size(); ++i) {
    if (words[i] == "chosen") {
      row.chosen = true;
    } else if (words[i] == "drained") {
      row.drained = true;
    } else if (words[i] == "age" && i + 1 < words.size()) {
      row.age = read_duration(words[++i]);
    } else if (words[i] == "success" && i + 1 < words.size()) {
      row.since_success = read_duration(words[++i]);
    } else {
      row.response_time = row.connect_time = read_duration(words[i]);
    }
  }
  stored_.push_back(row);
}

void World::drain(const Words& words, bool drained) {
  need(words, 2, "drain CANDIDATE [NAME]");
  const bool found = directory_.set_drained(words.size() > 2 ? words[2] : "", words[1], drained, now_);
  if (!found) throw Mismatch("there is no candidate " + words[1]);
  follow();
}

void World::upstream(const Words& words) {
  need(words, 3, "upstream ADDRESS answers|nodata|nxdomain|servfail|silent|refuses [after DURATION]");
  Behaviour behaviour;
  if (words[2] == "silent") {
    behaviour.kind = Behaviour::Kind::kSilent;
  } else if (words[2] == "refuses") {
    behaviour.kind = Behaviour::Kind::kRefuses;
  } else if (words[2] != "answers") {
    static const std::map<std::string, unsigned> kRcodes = {{"nodata", 0}, {"servfail", 2}, {"nxdomain", 3}};
    const auto rcode = kRcodes.find(words[2]);
    if (rcode == kRcodes.end()) throw Mismatch("an upstream does not '" + words[2] + "'");
    behaviour.kind = Behaviour::Kind::kRcode;
    behaviour.rcode = rcode->second;
  }
  if (words.size() > 4 && words[3] == "after") behaviour.after = read_duration(words[4]);
  upstreams_.behave(read_address(words[1]), behaviour);
}

}  // namespace har::replay
