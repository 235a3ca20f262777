#include "answer/answer.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "answer/pick.h"
#include "base/assert.h"
#include "dns/cookie.h"
#include "dns/match.h"
#include "dns/name.h"
#include "dns/opt.h"
#include "dns/query.h"
#include "dns/reader.h"
#include "dns/reply.h"
#include "dns/types.h"

namespace har::answer {
namespace {

using dns::Query;
using dns::Reply;
using table::Kind;
using View = table::Reader::View;

// A NODATA of ours is believed for a second, no longer: it may end with the next probe.
constexpr std::uint32_t kNegativeTtl = 1;
constexpr Duration kBeatsMissed = std::chrono::seconds(2);

// So many names and more are worth a look ahead: half a kilobyte each, beside what the kernel needs of a core's cache.
constexpr std::uint32_t kLargeTable = 256;

std::size_t limit_for(const Query& query, Transport transport) {
  return transport == Transport::kTcp ? dns::kMaxMessage : dns::udp_limit(query);
}

bool is_zone_transfer(std::uint16_t type) { return type == dns::kTypeAxfr || type == dns::kTypeIxfr; }

bool is_service_type(std::uint16_t type) { return type == dns::kTypeHttps || type == dns::kTypeSvcb; }

// How many octets of `_port._scheme.NAME` or `_scheme.NAME` stand before a configured NAME (RFC 9460 2.3, 9.1); its
// slot goes to `slot`. kNoSlot when the name is not of that form.
std::size_t find_behind_service_labels(std::span<const std::uint8_t> name, const table::Reader& table,
                                       std::uint32_t& slot) {
  std::size_t skip = 0;
  for (int labels = 0; labels < 2; ++labels) {
    const std::size_t size = name[skip];  // a whole name ends with a zero octet, which begins no such label
    if (size == 0 || name[skip + 1] != '_') break;
    skip += size + 1;
    slot = table.find(name.subspan(skip));
    if (slot != table::kNoSlot) return skip;
  }
  return 0;
}

// The families that a type asks for.
struct Wanted {
  bool v4;
  bool v6;
};

Wanted wanted_by(std::uint16_t type) {
  return {type == dns::kTypeA || type == dns::kTypeAny, type == dns::kTypeAaaa || type == dns::kTypeAny};
}

bool has_addresses(const View& view) { return view.answer.kind == Kind::kAddresses && view.answer.count > 0; }

// What the reply is to be for one or both families. Both are published together, so that they differ in more than
// addresses or NODATA only when the table changed between the two reads; then the better word counts.
Kind join(Kind a, Kind b) {
  for (const Kind kind : {Kind::kAddresses, Kind::kForwardNotReady, Kind::kForward, Kind::kServfail}) {
    if (a == kind || b == kind) return kind;
  }
  return Kind::kNodata;
}

// Behind a client's cookie alone stands a server's part of ours only where clients have seen an upstream's: else they
// would learn from us of cookies that nobody else here gives.
Query read_query(std::span<const std::uint8_t> packet, bool cookies_seen) {
  Query query = dns::parse_query(packet);
  if (!cookies_seen && !dns::has_servers_part(query.edns.cookie)) query.edns.cookie = {};
  return query;
}

// One query's way to its decision.
class Answering {
 public:
  Answering(const Query& query, Transport transport, const table::Reader& table, Turns& turns, Instant now,
            std::span<std::uint8_t> out)
      : query_(query), limit_(limit_for(query, transport)), table_(table), turns_(turns), now_(now), out_(out) {}

  Decision decide() {
    if (query_.status == Query::Status::kNoQuery) return {};
    if (query_.status == Query::Status::kOtherOpcode) return forward(Rule::kPass);
    if (query_.status == Query::Status::kBadQuestion) return format_error();
    if (query_.qclass != dns::kClassIn) return forward(Rule::kPass);
    slot_ = table_.find(query_.name);
    if (slot_ == table::kNoSlot) return decide_unconfigured();
    const Wanted wanted = wanted_by(query_.type);
    if (wanted.v4 || wanted.v6) return decide_addresses(wanted);
    if (is_service_type(query_.type) && !table_.https_forward(slot_)) return nodata(0);
    return forward(Rule::kNameExists);
  }

 private:
  Decision forward(Rule rule) const {
    Decision decision;
    decision.verdict = Verdict::kForward;
    decision.rule = rule;
    decision.slot = slot_;
    decision.zone_transfer = query_.status == Query::Status::kOk && is_zone_transfer(query_.type);
    return decision;
  }

  Decision replied(std::size_t size) const {
    Decision decision;
    decision.verdict = Verdict::kReply;
    decision.reply_size = static_cast<std::uint16_t>(size);
    decision.slot = slot_;
    return decision;
  }

  Decision format_error() {
    Decision decision = replied(Reply(query_, dns::kFormErr, Reply::kNotAuthoritative, limit_, out_).finish());
    decision.formerr = true;
    return decision;
  }

  // The EDNS rules that stand before every answer of our own. A query that is forwarded passes with whatever it holds.
  bool edns_is_wrong(Decision& decision) {
    if (query_.edns.malformed) {
      decision = format_error();
      return true;
    }
    if (query_.edns.present && query_.edns.version > 0) {
      decision = replied(Reply(query_, dns::kBadVers, Reply::kNotAuthoritative, limit_, out_).finish());
      return true;
    }
    return false;
  }

  Decision decide_unconfigured() {
    if (is_service_type(query_.type)) {
      std::uint32_t slot = table::kNoSlot;
      const std::size_t skip = find_behind_service_labels(query_.name, table_, slot);
      if (slot != table::kNoSlot && !table_.https_forward(slot)) {
        slot_ = slot;
        return nodata(skip);
      }
    }
    return forward(Rule::kPass);
  }

  // For the types whose answer does not depend on health: so nothing about the table's age either.
  Decision nodata(std::size_t skip) {
    Decision decision;
    if (edns_is_wrong(decision)) return decision;
    Reply reply(query_, dns::kNoError, Reply::kAuthoritative, limit_, out_);
    reply.add_soa(kNegativeTtl, skip);
    return replied(reply.finish());
  }

  Decision decide_addresses(Wanted wanted) {
    View v4;
    View v6;
    const bool read =
        (!wanted.v4 || table_.read(slot_, Family::kV4, v4)) && (!wanted.v6 || table_.read(slot_, Family::kV6, v6));
    Decision decision;
    if (!read) {
      if (edns_is_wrong(decision)) return decision;
      Reply reply(query_, dns::kServFail, Reply::kAuthoritative, limit_, out_);
      reply.set_error(dns::kEdeOther, "answer table busy");
      return replied(reply.finish());
    }
    const View& either = wanted.v4 ? v4 : v6;
    const Kind kind = wanted.v4 && wanted.v6 ? join(v4.answer.kind, v6.answer.kind) : either.answer.kind;
    if (kind == Kind::kForward) return forward(Rule::kNameExists);
    if (kind == Kind::kForwardNotReady) return forward(Rule::kNotReady);
    if (edns_is_wrong(decision)) return decision;

    Reply reply(query_, kind == Kind::kServfail ? dns::kServFail : dns::kNoError, Reply::kAuthoritative, limit_, out_);
    bool answered = false;
    if (wanted.v4) answered |= add_addresses(reply, Family::kV4, v4);
    if (wanted.v6) answered |= add_addresses(reply, Family::kV6, v6);
    if (!answered && kind != Kind::kServfail) reply.add_soa(kNegativeTtl);
    set_error(reply, either.note);
    return replied(reply.finish());
  }

  bool add_addresses(Reply& reply, Family family, const View& view) {
    if (!has_addresses(view)) return false;
    const Picked picked = pick(view.answer, slot_, family, turns_);
    for (std::size_t i = 0; i < picked.size; ++i) {
      reply.add_address(family, view.answer.addresses[picked.places[i]].data(), view.ttl);
    }
    return true;
  }

  // A table whose writer is gone makes whatever else it says old: that comes first, one error a reply.
  void set_error(Reply& reply, table::Note note) const {
    if (is_stale()) {
      reply.set_error(dns::kEdeStaleAnswer, "the checker is gone");
    } else if (table_.network_lost()) {
      reply.set_error(dns::kEdeStaleAnswer, "the host has no network");
    } else if (note == table::Note::kFailureMode) {
      reply.set_error(dns::kEdeOther, "no candidate is up");
    } else if (note == table::Note::kNotReady) {
      reply.set_error(dns::kEdeNotReady);
    }
  }

  bool is_stale() const {
    const Instant beat = table_.last_beat();
    // kNever is never before now. Whoever believes no stored state (0) does not say that of every answer: it is the
    // writer's beats that are counted, each half a second.
    const Duration most = std::max(Duration(table_.limits().state_max_age_ns), kBeatsMissed);
    return beat < now_ && now_ - beat > most;
  }

  const Query& query_;
  const std::size_t limit_;
  const table::Reader& table_;
  Turns& turns_;
  const Instant now_;
  const std::span<std::uint8_t> out_;
  std::uint32_t slot_ = table::kNoSlot;
};

// The rcode's upper eight bits, from the reply's OPT: without them BADVERS reads as NOERROR and BADMODE as NXDOMAIN.
std::uint8_t upper_rcode(std::span<const std::uint8_t> message) {
  const auto opt = dns::find_opt(message);
  return static_cast<std::uint8_t>(opt ? opt->record.ttl >> 24 : 0);
}

// Whether the answer section holds an address of the family in question: a CNAME that leads to none is NODATA (RFC 2308
// 2.2). Of a question for anything else, any record will do.
bool has_what_was_asked(std::span<const std::uint8_t> query, std::span<const std::uint8_t> reply, std::size_t answers) {
  if (answers == 0) return false;
  const Query asked = dns::parse_query(query);
  if (asked.type != dns::kTypeA && asked.type != dns::kTypeAaaa) return true;
  dns::Reader reader(reply);
  reader.bytes(dns::kHeaderSize);
  reader.skip_name();  // the question, as it was asked: the forwarder has seen to that
  reader.u32();
  for (std::size_t i = 0; i < answers; ++i) {
    reader.skip_name();
    const dns::RecordHead record = dns::read_record(reader);
    if (reader.failed() || record.type == asked.type) return true;  // what cannot be read is the client's to judge
  }
  return false;
}

// What the rule demands of the reply; 0: nothing.
std::size_t apply(Rule rule, std::span<const std::uint8_t> query, Transport transport,
                  std::span<const std::uint8_t> reply, std::span<std::uint8_t> out, bool cookies_seen) {
  if (rule == Rule::kPass || reply.size() < dns::kHeaderSize) return 0;
  const dns::ReplyHead head = dns::read_head(reply);
  const bool nxdomain = head.rcode == dns::kNxDomain;
  // Where TC is set the missing records may just not have fitted: NOERROR is then not negative.
  const bool may_be_nodata = rule == Rule::kNotReady && head.rcode == dns::kNoError && !head.truncated;
  const bool nodata = may_be_nodata && !has_what_was_asked(query, reply, head.answers);
  const bool concerned = rule == Rule::kNotReady ? nxdomain || nodata : nxdomain && head.answers == 0;
  if (!concerned || upper_rcode(reply) != 0) return 0;
  if (rule == Rule::kNotReady) return servfail(query, transport, Failure::kNotReady, out, cookies_seen);

  const Query asked = read_query(query, cookies_seen);
  if (asked.status != Query::Status::kOk) return 0;
  Reply own(asked, dns::kNoError, Reply::kAuthoritative, limit_for(asked, transport), out);
  own.add_soa(kNegativeTtl);
  return own.finish();
}

// Of two upstreams one may have cookies and the other not: the other's reply takes the client's own back, as ours do
// (dns/cookie.h). It may be as large as the client says: it leaves at about that size anyway.
std::size_t give_cookie_back(std::span<const std::uint8_t> query, Transport transport,
                             std::span<const std::uint8_t> reply, std::span<std::uint8_t> out, bool& cookies_seen) {
  if (transport == Transport::kTcp) return 0;
  const Query asked = dns::parse_query(query);
  const auto cookie = asked.edns.cookie;
  if (cookie.empty()) return 0;
  const auto opt = dns::find_opt(reply);
  if (!opt) return 0;
  if (dns::gives_cookie(*opt)) {
    cookies_seen = true;
    return 0;
  }
  if (!cookies_seen && !dns::has_servers_part(cookie)) return 0;
  const std::size_t limit = std::max<std::size_t>(asked.edns.udp_size, 512);
  return dns::add_cookie(reply, *opt, cookie, out.first(std::min(out.size(), limit)));
}

}  // namespace

Decision decide(std::span<const std::uint8_t> packet, Transport transport, const table::Reader& table, Turns& turns,
                Instant now, std::span<std::uint8_t> out, bool cookies_seen) {
  HAR_ASSERT(out.size() >= 4096);
  const Query query = read_query(packet, cookies_seen);
  return Answering(query, transport, table, turns, now, out).decide();
}

std::span<const std::uint32_t> prefetch(std::span<const std::span<const std::uint8_t>> packets,
                                        const table::Reader& table, std::span<std::uint32_t> room) {
  if (table.slot_count() < kLargeTable) return {};
  HAR_ASSERT(packets.size() <= table::Reader::kMostAhead && room.size() >= packets.size());
  std::array<std::span<const std::uint8_t>, table::Reader::kMostAhead> names;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const auto question = packets[i].subspan(std::min(packets[i].size(), dns::kHeaderSize));
    names[i] = question.first(dns::wire_name_size(question));
  }
  table.prefetch({names.data(), packets.size()}, room);
  return room.first(packets.size());
}

std::size_t finish(Rule rule, std::span<const std::uint8_t> query, Transport transport,
                   std::span<const std::uint8_t> reply, std::span<std::uint8_t> out, bool& cookies_seen) {
  HAR_ASSERT(out.size() >= 4096);
  const std::size_t size = apply(rule, query, transport, reply, out, cookies_seen);
  return size > 0 ? size : give_cookie_back(query, transport, reply, out, cookies_seen);
}

std::size_t servfail(std::span<const std::uint8_t> query, Transport transport, Failure why, std::span<std::uint8_t> out,
                     bool cookies_seen) {
  const Query asked = read_query(query, cookies_seen);
  if (asked.status == Query::Status::kNoQuery) return 0;  // never a word to what is itself a reply
  Reply reply(asked, dns::kServFail, Reply::kNotAuthoritative, limit_for(asked, transport), out);
  switch (why) {
    case Failure::kNoUpstream:
      reply.set_error(dns::kEdeNoReachableAuthority, "no upstream answers");
      break;
    case Failure::kNotReady:
      reply.set_error(dns::kEdeNotReady);
      break;
    case Failure::kOverload:
      reply.set_error(dns::kEdeOther, "too many queries in flight");
      break;
  }
  return reply.finish();
}

}  // namespace har::answer
