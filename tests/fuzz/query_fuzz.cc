// A client's packet: what dns::parse_query makes of it, and every kind of reply that dns::Reply can build to it.
// Holds: spans lie inside the packet; names survive a round trip through text; a reply keeps to its limit, matches its
// query, and its addresses are read back as they were put in, up to the truncation.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/assert.h"
#include "dns/addresses.h"
#include "dns/match.h"
#include "dns/name.h"
#include "dns/query.h"
#include "dns/reader.h"
#include "dns/reply.h"

namespace har::dns {
namespace {

using Octets = std::span<const std::uint8_t>;
using Status = Query::Status;

bool inside(Octets part, Octets whole) {
  return part.data() >= whole.data() && part.size() <= whole.size() &&
         static_cast<std::size_t>(part.data() - whole.data()) <= whole.size() - part.size();
}

void check_name(Octets name) {
  HAR_ASSERT(wire_name_size(name) == name.size());
  const auto back = name_to_wire(name_to_text(name));
  HAR_ASSERT(back);
  HAR_ASSERT(names_equal(*back, name));
  HAR_ASSERT(name_hash(*back, 1) == name_hash(name, 1));
}

void check_query(Octets packet, const Query& query) {
  const bool is_query = packet.size() >= kHeaderSize && (packet[2] & 0x80) == 0;
  HAR_ASSERT(is_query == (query.status != Status::kNoQuery));
  if (query.status != Status::kOk) {
    HAR_ASSERT(query.name.empty() && query.question.empty());
    return;
  }
  HAR_ASSERT(query.opcode == kOpcodeQuery);
  HAR_ASSERT(inside(query.name, packet) && inside(query.question, packet));
  HAR_ASSERT(query.question.data() == packet.data() + kHeaderSize);
  HAR_ASSERT(query.question.size() == query.name.size() + 4);
  check_name(query.name);
}

// Builds one reply in memory of exactly `room` octets, so that a write behind the end is seen.
void check_reply(Octets packet, const Query& query, std::uint64_t choice) {
  const auto choose = [&choice](std::size_t below) {
    const std::size_t got = choice % below;
    choice /= below;
    return got;
  };
  const std::size_t room = std::array<std::size_t, 3>{512, 1232, 4096}[choose(3)];
  const std::size_t limit = choose(2) == 0 ? udp_limit(query) : kMaxMessage;
  const bool has_question = query.status == Status::kOk;
  const bool answers = has_question && choose(4) != 0;
  std::vector<std::uint8_t> out(room);

  const Rcode rcode = answers ? kNoError : query.edns.present && choose(2) == 0 ? kBadVers : kServFail;
  Reply reply(query, rcode, answers ? Reply::kAuthoritative : Reply::kNotAuthoritative, limit, out);
  const Family family = query.type == kTypeAaaa ? Family::kV6 : Family::kV4;
  std::size_t wanted = 0;
  bool soa = false;
  if (answers) {
    wanted = choose(3) == 0 ? 0 : choose(60);
    for (std::size_t i = 0; i < wanted; ++i) {
      std::array<std::uint8_t, 16> address{};
      address[3] = static_cast<std::uint8_t>(i);
      reply.add_address(family, address.data(), static_cast<std::uint32_t>(i));
    }
    soa = wanted == 0;
    if (soa) reply.add_soa(1, choose(2) == 0 || query.name[0] == 0 ? 0 : query.name[0] + std::size_t{1});
  }
  const std::string text(choose(700), 't');
  if (choose(2) == 0) reply.set_error(kEdeNotReady, text);
  const std::size_t size = reply.finish();

  HAR_ASSERT(size <= room && size <= std::max(limit, kMinUdpReply));
  const Octets written = std::span<const std::uint8_t>(out).first(size);
  const ReplyHead head = read_head(written);
  HAR_ASSERT(head.id == query.id && (head.flags & kQr) != 0 && (head.flags & (kAd | kZ)) == 0);
  HAR_ASSERT((head.flags & (kRd | kCd)) == (query.flags & (kRd | kCd)));
  HAR_ASSERT(head.truncated == reply.truncated());
  if (!has_question) return;
  HAR_ASSERT(reply_matches(packet, written));
  HAR_ASSERT(std::equal(query.question.begin(), query.question.end(), written.begin() + kHeaderSize));
  HAR_ASSERT(head.answers <= wanted);
  HAR_ASSERT(reply.truncated() == (head.answers < wanted));  // a SOA always fits

  // The whole message can be walked and ends where it should; OPT is its last record, if and only if it is owed.
  std::vector<std::uint8_t> as_query(written.begin(), written.end());
  as_query[2] &= 0x79;  // QR and TC off
  const Query walked = parse_query(as_query);
  HAR_ASSERT(walked.status == Status::kOk && !walked.edns.malformed);
  HAR_ASSERT(walked.edns.present == query.edns.present);
  HAR_ASSERT(walked.edns.dnssec_ok == query.edns.dnssec_ok);
  if (!answers || (query.type != kTypeA && query.type != kTypeAaaa)) return;
  as_query[2] |= 0x80;
  const Addresses read = read_addresses(as_query, query.type);
  HAR_ASSERT(read.status == (soa ? Addresses::Status::kNoData : Addresses::Status::kFound));
  HAR_ASSERT(read.addresses.size() == head.answers);
  HAR_ASSERT(read.ttl == (soa ? 1U : 0U));
  for (std::size_t i = 0; i < read.addresses.size(); ++i) HAR_ASSERT(read.addresses[i].bytes[3] == i);
}

}  // namespace
}  // namespace har::dns

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace har::dns;
  const std::span packet(data, size);
  const Query query = parse_query(packet);
  check_query(packet, query);
  if (query.status == Query::Status::kNoQuery) return 0;
  for (std::uint64_t seed = 0; seed < 4; ++seed) check_reply(packet, query, name_hash(packet, seed));
  return 0;
}
