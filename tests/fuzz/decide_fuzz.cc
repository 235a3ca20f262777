// A client's packet through the whole decision, and an upstream's reply to it through finish().
// Input: one octet chooses what the table says; two give the size of the packet; the packet; what is
// left is the upstream's reply.
// Holds: dropped are the short and the replies, and only they; what we answer belongs to its query, keeps to the
// client's limit, is whole, never NXDOMAIN and carries an OPT if and only if the query did; its addresses are of the
// family that was asked, from the table, none twice, no more than one answer may carry, with the table's TTL; what is
// answered has a configured name or one under it; finish() touches only what its rule says.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "answer/answer.h"
#include "base/assert.h"
#include "dns/addresses.h"
#include "dns/cookie.h"
#include "dns/match.h"
#include "dns/name.h"
#include "dns/opt.h"
#include "dns/query.h"
#include "dns/reply.h"
#include "table/writer.h"

namespace har::answer {
namespace {

using Octets = std::span<const std::uint8_t>;
using Status = dns::Query::Status;

struct alignas(64) Line {
  std::byte octets[64];
};

// www.example as the control octet says; open.example lets HTTPS records pass.
class World {
 public:
  explicit World(unsigned control)
      : lines_(table::Writer::bytes_needed(plan()) / sizeof(Line) + 1),
        writer_(table::Writer::create(memory(), plan())),
        reader(table::Reader::open(memory()).value()),
        turns(control, reader.slot_count()) {
    table::SlotContent content;
    content.v4 = family(control, 8, 4);
    content.v6 = family(control, control % 3 == 0 ? 0 : 8, 6);
    content.ttl = control;
    content.note = static_cast<table::Note>(control % 3);
    for (std::uint32_t slot = 0; slot < reader.slot_count(); ++slot) writer_.write(slot, content);
    if (control % 2 == 0) writer_.beat(Instant(Duration(1)));
  }

 private:
  static table::Plan plan() {
    table::Plan out;
    for (const char* name : {"www.example", "open.example", "_x.example"}) {
      out.names.push_back({dns::name_to_wire(name).value(), *name == 'o'});
    }
    return out;
  }
  static table::FamilyAnswer family(unsigned control, std::uint8_t count, std::uint8_t first_octet) {
    table::FamilyAnswer out;
    out.kind = control % 8 < 4 ? table::Kind::kAddresses : static_cast<table::Kind>(control % 5);
    out.order = static_cast<table::Order>(control / 8 % 4);
    out.count = count;
    out.group = static_cast<std::uint8_t>(count / 2);
    out.answer_count = static_cast<std::uint8_t>(control % 9);
    for (std::uint8_t i = 0; i < count; ++i) {
      out.weights[i] = static_cast<std::uint16_t>(i * control);
      out.addresses[i] = {first_octet, 0, 0, i};
    }
    return out;
  }
  std::span<std::byte> memory() { return {reinterpret_cast<std::byte*>(lines_.data()), lines_.size() * sizeof(Line)}; }

  std::vector<Line> lines_;
  table::Writer writer_;

 public:
  table::Reader reader;
  Turns turns;
};

// What must hold of anything that we say ourselves.
void check_own(Octets packet, Transport transport, Octets reply) {
  const auto query = dns::parse_query(packet);
  HAR_ASSERT(reply.size() >= dns::kHeaderSize);
  HAR_ASSERT(reply.size() <= (transport == Transport::kUdp ? dns::udp_limit(query) : std::size_t{4096}));
  const auto head = dns::read_head(reply);
  HAR_ASSERT((head.flags & dns::kQr) != 0 && head.id == query.id);
  HAR_ASSERT((head.flags & (dns::kAd | dns::kZ)) == 0 && (head.flags & dns::kRa) != 0);
  HAR_ASSERT(head.rcode == dns::kNoError || head.rcode == dns::kFormErr || head.rcode == dns::kServFail);
  if (query.status != Status::kOk) return;
  HAR_ASSERT(dns::reply_matches(packet, reply));
  std::vector<std::uint8_t> as_query(reply.begin(), reply.end());
  as_query[2] &= 0x79;  // QR and TC off: the query's parser walks the whole of it
  const auto walked = dns::parse_query(as_query);
  HAR_ASSERT(walked.status == Status::kOk && !walked.edns.malformed);
  HAR_ASSERT(walked.edns.present == query.edns.present);
  // As it came; a client's part alone with ours behind it, or not at all (check_finish() goes on to either).
  const auto back = walked.edns.cookie;
  const auto cookie = query.edns.cookie;
  if (dns::has_servers_part(cookie) || cookie.empty()) HAR_ASSERT(std::ranges::equal(back, cookie));
  if (!dns::has_servers_part(cookie) && !back.empty()) HAR_ASSERT(std::ranges::equal(back.first(8), cookie));
}

// The records of an answer, read back by the checker's own reader of replies.
void check_addresses(const World& world, const dns::Query& query, std::uint32_t slot, Octets reply) {
  if (query.type != dns::kTypeA && query.type != dns::kTypeAaaa) return;
  if (query.edns.version > 0) return;  // BADVERS: the header alone says NOERROR
  const auto head = dns::read_head(reply);
  if (head.rcode != dns::kNoError || head.truncated) return;
  const Family family = query.type == dns::kTypeA ? Family::kV4 : Family::kV6;
  table::Reader::View view;
  HAR_ASSERT(world.reader.read(slot, family, view));
  const auto read = dns::read_addresses(reply, query.type);
  if (view.answer.kind != table::Kind::kAddresses || view.answer.count == 0) {
    HAR_ASSERT(read.status == dns::Addresses::Status::kNoData && read.ttl <= 1);
    return;
  }
  HAR_ASSERT(read.status == dns::Addresses::Status::kFound && read.ttl == view.ttl);
  const std::size_t most = std::max<std::uint8_t>(view.answer.answer_count, 1);
  HAR_ASSERT(read.addresses.size() == head.answers);  // none twice
  HAR_ASSERT(read.addresses.size() == std::min<std::size_t>(most, view.answer.count));
  for (const IpAddress& address : read.addresses) {
    HAR_ASSERT(address.bytes[0] == (family == Family::kV4 ? 4 : 6) && address.bytes[3] < view.answer.count);
  }
}

// The labels of `name` end with the configured one: the name itself, or one under it.
bool is_at_or_under(Octets name, Octets configured) {
  while (name.size() > configured.size()) name = name.subspan(std::size_t{name[0]} + 1);
  return dns::names_equal(name, configured);
}

// The upstream's reply, but for the client's COOKIE at its end and the size of the OPT's data.
bool is_with_cookie(Octets packet, Transport transport, Octets reply, Octets out) {
  const auto query = dns::parse_query(packet);
  const std::size_t option = dns::cookie_back_size(query.edns.cookie);
  if (transport != Transport::kUdp || option == 0 || out.size() != reply.size() + option) return false;
  const auto before = dns::find_opt(reply), after = dns::find_opt(out);
  if (!before || !after || !after->is_last) return false;
  if (after->record.data.size() != before->record.data.size() + option) return false;
  const auto data_size_at = before->record.data_position - 2;  // which differs
  if (!std::equal(reply.begin(), reply.begin() + static_cast<std::ptrdiff_t>(data_size_at), out.begin())) return false;
  HAR_ASSERT(std::equal(reply.begin() + static_cast<std::ptrdiff_t>(data_size_at) + 2, reply.end(),
                        out.begin() + static_cast<std::ptrdiff_t>(data_size_at) + 2));
  HAR_ASSERT(dns::gives_cookie(*after) && !dns::gives_cookie(*before));
  HAR_ASSERT(out.size() <= std::max<std::size_t>(query.edns.udp_size, 512));
  return true;
}

void check_finish(Octets packet, Transport transport, Octets reply) {
  for (const Rule rule : {Rule::kPass, Rule::kNameExists, Rule::kNotReady}) {
    std::vector<std::uint8_t> out(4096);
    bool cookies_seen = rule == Rule::kNotReady;
    const std::size_t size = finish(rule, packet, transport, reply, out, cookies_seen);
    if (size == 0) continue;
    if (is_with_cookie(packet, transport, reply, Octets(out).first(size))) continue;
    HAR_ASSERT(rule != Rule::kPass && size <= out.size());
    const auto head = dns::read_head(reply);
    HAR_ASSERT(head.rcode == dns::kNxDomain || (rule == Rule::kNotReady && head.rcode == dns::kNoError));
    check_own(packet, transport, Octets(out).first(size));
  }
}

void check_decision(World& world, Octets packet, Transport transport) {
  std::vector<std::uint8_t> out(4096);
  const auto query = dns::parse_query(packet);
  const auto decision = decide(packet, transport, world.reader, world.turns, Instant(std::chrono::hours(2)), out);
  HAR_ASSERT((decision.verdict == Verdict::kDrop) == (query.status == Status::kNoQuery));
  HAR_ASSERT(decision.slot == table::kNoSlot || decision.slot < world.reader.slot_count());
  if (decision.verdict == Verdict::kForward) {
    HAR_ASSERT(decision.rule == Rule::kPass || decision.slot != table::kNoSlot);
    HAR_ASSERT(query.status != Status::kBadQuestion);
    HAR_ASSERT(!decision.zone_transfer || query.type == dns::kTypeAxfr || query.type == dns::kTypeIxfr);
  }
  if (decision.slot != table::kNoSlot) {
    HAR_ASSERT(query.status == Status::kOk && is_at_or_under(query.name, world.reader.name(decision.slot)));
  }
  if (decision.verdict == Verdict::kReply) {
    HAR_ASSERT(decision.slot != table::kNoSlot || decision.formerr);
    HAR_ASSERT(query.status != Status::kBadQuestion || decision.formerr);
    const Octets reply = Octets(out).first(decision.reply_size);
    check_own(packet, transport, reply);
    if (!decision.formerr) check_addresses(world, query, decision.slot, reply);
  }
}

void check_servfail(Octets packet, Transport transport) {
  for (const Failure why : {Failure::kNoUpstream, Failure::kNotReady, Failure::kOverload}) {
    std::vector<std::uint8_t> out(4096);
    const std::size_t size = servfail(packet, transport, why, out);
    HAR_ASSERT((size == 0) == (dns::parse_query(packet).status == Status::kNoQuery));
    if (size == 0) continue;
    HAR_ASSERT(dns::read_head(out).rcode == dns::kServFail);
    check_own(packet, transport, Octets(out).first(size));
  }
}

}  // namespace
}  // namespace har::answer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace har::answer;
  if (size < 3) return 0;
  const unsigned control = data[0];
  const std::size_t packet_size = std::min(std::size_t{data[1]} << 8 | data[2], size - 3);
  // Blocks of their own, so that a read past either end is seen.
  const std::vector<std::uint8_t> packet(data + 3, data + 3 + packet_size);
  const std::vector<std::uint8_t> reply(data + 3 + packet_size, data + size);
  World world(control);
  for (const Transport transport : {Transport::kUdp, Transport::kTcp}) {
    check_decision(world, packet, transport);
    check_servfail(packet, transport);
    check_finish(packet, transport, reply);
  }
  return 0;
}
