// World: queries, and what a client is to get.
#include <algorithm>

#include "text.h"
#include "world.h"

namespace har::replay {
namespace {

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

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
      size = answer::finish(asked.decision.rule, asked.query, transport, asked.outcome.reply, out, cookies_seen_);
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
