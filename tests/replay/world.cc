#include "world.h"

#include <algorithm>

#include "config/load.h"
#include "dns/name.h"
#include "text.h"

namespace har::replay {
namespace {

using health::Observation;
using health::Outcome;

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string in_words(const health::Event& event) {
  const bool state = event.kind == health::EventKind::kState;
  std::string text = (state ? "state " : "choice ") + event.name;
  if (state) text += " " + event.candidate;
  if (event.address) text += " " + event.address->to_string();
  return text + ": " + event.old_value + " -> " + event.new_value + ": " + event.reason;
}

void need(const std::vector<std::string>& words, std::size_t count, const char* form) {
  if (words.size() < count) throw Mismatch(std::string("write: ") + form);
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

// --- what happens ---

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

void World::follow() {
  const health::Changes changes = directory_.take_changes();
  for (const std::uint32_t slot : changes.slots) {
    table_->writer.write(slot, directory_.content(slot));
    rewritten_.insert(slot);
  }
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

// --- what is expected of the inside ---

void World::expect_state(const Words& words) const {
  need(words, 3, "state [NAME/]CANDIDATE[@ADDRESS] up|down|unknown|drained");
  const std::vector<std::string> at = split(words[1], "@");
  const std::vector<std::string> path = split(at[0], "/");
  bool found = false;
  for (const health::EndpointReport& row : directory_.report()) {
    if (row.candidate != path.back() || (path.size() > 1 && row.name != path[0])) continue;
    if (at.size() > 1 && row.address != read_address(at[1])) continue;
    found = true;
    const bool fits = words[2] == "drained" ? row.drained : word(row.state) == words[2];
    if (!fits) throw Mismatch(row.candidate + "@" + row.address.to_string() + " is " + std::string(word(row.state)));
  }
  if (!found) throw Mismatch("there is no endpoint " + words[1]);
}

void World::expect_event(const std::string& text, bool wanted) const {
  std::string all;
  bool found = false;
  for (const std::string& event : events_) {
    all += "\n    " + event;
    if (event.find(text) != std::string::npos) found = true;
  }
  if (found != wanted) throw Mismatch((wanted ? "there is no such event" : "there is such an event") + all);
}

void World::expect_rewritten(const Words& words) const {
  std::set<std::string> wanted(words.begin() + 1, words.end());
  wanted.erase("none");
  std::set<std::string> got;
  for (const std::uint32_t slot : rewritten_) got.insert(name_of(slot));
  if (wanted == got) return;
  std::string all;
  for (const std::string& name : got) all += " " + name;
  throw Mismatch("rewritten were:" + all);
}

void World::expect_pace(const Words& words) const {
  need(words, 3, "pace CANDIDATE[@ADDRESS] [disagrees] [refused] [down] or steady");
  for (const health::CheckId id : checks_of(words[1])) {
    const health::Pace pace = directory_.pace(id);
    std::set<std::string> got;
    if (pace.disagrees) got.insert("disagrees");
    if (pace.refused) got.insert("refused");
    if (pace.down_since) got.insert("down");
    if (got.empty()) got.insert("steady");
    if (got != std::set<std::string>(words.begin() + 2, words.end())) throw Mismatch("its pace is another");
  }
}

void World::expect_check(const Words& words) const {
  need(words, 4, "check CANDIDATE[@ADDRESS] (frequency|changing|down|timeout|host|path|port VALUE)...");
  for (const health::CheckId id : checks_of(words[1])) {
    const config::Check& check = directory_.target(id).check;
    for (std::size_t i = 2; i + 1 < words.size(); i += 2) {
      const std::string& key = words[i];
      const std::string& value = words[i + 1];
      bool fits = false;
      if (key == "frequency") fits = check.frequency == read_duration(value);
      if (key == "changing") fits = check.frequency_changing == read_duration(value);
      if (key == "down") fits = check.frequency_down == read_duration(value);
      if (key == "timeout") fits = check.timeout == read_duration(value);
      if (key == "host") fits = check.http_host == value;
      if (key == "path") fits = check.path == value;
      if (key == "port") fits = check.port == read_number(value);
      if (!fits) throw Mismatch("its " + key + " is not " + value);
    }
  }
}

// --- queries ---

World::Asked World::ask(const Question& question, answer::Transport transport, bool through_upstream) {
  Asked asked;
  asked.query = make_query(question, next_id_++);
  table_->writer.beat(now_);
  Packet out(65'535);
  asked.decision = answer::decide(asked.query, transport, table_->reader, table_->turns, now_, out);
  if (asked.decision.verdict == answer::Verdict::kReply) {
    out.resize(asked.decision.reply_size);
    asked.reply = std::move(out);
  } else if (asked.decision.verdict == answer::Verdict::kForward && through_upstream) {
    const upstream::Limits limits{.try_timeout = config_->resolver_timeout};
    asked.outcome = upstreams_.ask(asked.query, limits, now_);
    advance(asked.outcome.took);
    std::size_t size = 0;
    if (asked.outcome.reply.empty()) {
      size = answer::servfail(asked.query, transport, answer::Failure::kNoUpstream, out);
    } else {
      size = answer::finish(asked.decision.rule, asked.query, transport, asked.outcome.reply, out);
    }
    asked.passed = size == 0;
    out.resize(size);
    asked.reply = asked.passed ? asked.outcome.reply : std::move(out);
  }
  if (asked.reply.empty()) return asked;

  asked.text = read_reply(asked.reply);
  const ReplyText& text = asked.text;
  if (asked.passed) return asked;
  // What holds for every reply of our own.
  if (text.id != next_id_ - 1 || !text.response || !text.recursion)
    throw Mismatch("ID, QR or RA of the reply are wrong");
  const Packet echoed(asked.query.begin() + 12,
                      asked.query.begin() + 12 + static_cast<std::ptrdiff_t>(text.question.size()));
  if (text.question != echoed) throw Mismatch("the question is not echoed byte for byte");
  if (text.edns != question.edns) throw Mismatch("EDNS in the reply is not as in the query");
  if (text.rcode == 0 && text.answers == 0 && !text.soa) throw Mismatch("NODATA without SOA");
  if (text.rcode == 0 && !text.authoritative) throw Mismatch("AA is not set");
  return asked;
}

void World::expect_answer(const Asked& asked, const std::string& expectation) const {
  const std::vector<std::string> parts = split(expectation, ";");
  const answer::Verdict verdict = asked.decision.verdict;
  const ReplyText& text = asked.text;

  std::string got;
  if (verdict == answer::Verdict::kDrop) {
    got = "dropped";
  } else if (asked.reply.empty()) {
    got = "forwarded";
  } else if (asked.passed) {
    got = text.rcode == 3 ? "nxdomain" : text.rcode == 2 ? "servfail" : text.answers == 0 ? "nodata" : "passed";
  } else if (text.rcode == 0) {
    for (const IpAddress& address : text.addresses) got += (got.empty() ? "" : " ") + address.to_string();
    if (got.empty()) got = "nodata";
  } else {
    static const std::map<unsigned, std::string> kRcodes = {
        {1, "formerr"}, {2, "servfail"}, {3, "nxdomain"}, {4, "notimp"}, {5, "refused"}};
    const auto rcode = kRcodes.find(text.rcode);
    got = rcode == kRcodes.end() ? "rcode " + std::to_string(text.rcode) : rcode->second;
  }
  std::string wanted;
  for (const std::string& word : words_of(lower(parts[0]))) wanted += (wanted.empty() ? "" : " ") + word;
  if (got != wanted) throw Mismatch("the answer is: " + got);

  for (std::size_t i = 1; i < parts.size(); ++i) {
    const Words words = words_of(parts[i]);
    if (words.size() != 2) throw Mismatch("'" + parts[i] + "': write ttl, ede, from, after or asked, and a value");
    if (words[0] == "ttl") {
      const std::optional<std::uint32_t> ttl = text.ttl   ? text.ttl
                                               : text.soa ? std::optional(text.soa_ttl)
                                                          : std::nullopt;
      if (ttl != read_number(words[1])) throw Mismatch("the TTL is " + (ttl ? std::to_string(*ttl) : "absent"));
    } else if (words[0] == "ede") {
      const bool fits = words[1] == "none" ? !text.ede : text.ede == read_number(words[1]);
      if (!fits) throw Mismatch("the extended error is " + (text.ede ? std::to_string(*text.ede) : "absent"));
    } else if (words[0] == "from") {
      if (asked.outcome.from != read_address(words[1]))
        throw Mismatch("it came from " + asked.outcome.from.to_string());
    } else if (words[0] == "after") {
      if (asked.outcome.took != read_duration(words[1])) {
        throw Mismatch("it took " + std::to_string(to_seconds(asked.outcome.took)) + " s");
      }
    } else if (words[0] == "asked") {
      if (asked.outcome.asked != read_number(words[1])) {
        throw Mismatch("upstreams were asked " + std::to_string(asked.outcome.asked) + " times");
      }
    } else {
      throw Mismatch("'" + words[0] + "' is nothing to expect");
    }
  }
}

void World::query(const std::string& left, const std::string& right) {
  const Words words = words_of(left);
  need(words, 3, "query NAME TYPE [xN] [tcp] [noedns] [class N] [opcode N] -> what is expected");
  Question question;
  question.name = words[1];
  question.type = type_number(words[2]);
  answer::Transport transport = answer::Transport::kUdp;
  unsigned times = 1;
  for (std::size_t i = 3; i < words.size(); ++i) {
    if (words[i] == "tcp") {
      transport = answer::Transport::kTcp;
    } else if (words[i] == "noedns") {
      question.edns = false;
    } else if (words[i] == "class" && i + 1 < words.size()) {
      question.qclass = static_cast<std::uint16_t>(read_number(words[++i]));
    } else if (words[i] == "opcode" && i + 1 < words.size()) {
      question.opcode = read_number(words[++i]);
    } else if (words[i][0] == 'x') {
      times = read_number(words[i].substr(1));
    } else {
      throw Mismatch("'" + words[i] + "' is no option of a query");
    }
  }

  const Words wanted = words_of(right);
  if (wanted.empty()) throw Mismatch("nothing is expected");
  const bool through = wanted[0] != "forwarded" && !upstreams_.empty();
  if (wanted[0] != "turns" && wanted[0] != "shares") {
    for (unsigned n = 0; n < times; ++n) expect_answer(ask(question, transport, through), right);
    return;
  }

  // turns A B C: each query's first address is the next of the ring, wherever it begins.
  // shares A LEAST..MOST B LEAST..MOST: how many of the queries have it first; no others come.
  std::vector<std::string> firsts;
  for (unsigned n = 0; n < times; ++n) {
    const Asked asked = ask(question, transport, through);
    if (asked.text.addresses.empty()) throw Mismatch("an answer without address");
    firsts.push_back(asked.text.addresses[0].to_string());
  }
  if (wanted[0] == "turns") {
    const Words ring(wanted.begin() + 1, wanted.end());
    const auto begin = std::find(ring.begin(), ring.end(), firsts[0]);
    if (begin == ring.end()) throw Mismatch(firsts[0] + " is not among those that take turns");
    auto offset = static_cast<std::size_t>(begin - ring.begin());
    for (const std::string& first : firsts) {
      const std::string& due = ring[offset++ % ring.size()];
      if (first != due) throw Mismatch(first + " came where it was the turn of " + due);
    }
    return;
  }
  std::map<std::string, unsigned> count;
  for (const std::string& first : firsts) ++count[first];
  for (std::size_t i = 1; i + 1 < wanted.size(); i += 2) {
    const std::vector<std::string> bounds = split(wanted[i + 1], "..");
    const unsigned got = count[wanted[i]];
    count.erase(wanted[i]);
    if (got < read_number(bounds.front()) || got > read_number(bounds.back())) {
      throw Mismatch(wanted[i] + " came " + std::to_string(got) + " times");
    }
  }
  if (!count.empty()) throw Mismatch(count.begin()->first + " came as well");
}

}  // namespace har::replay
