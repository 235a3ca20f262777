#include "dns/addresses.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "dns/match.h"
#include "dns/name.h"
#include "dns/reader.h"
#include "dns/types.h"
#include "dns/writer.h"

namespace har::dns {

namespace {

constexpr int kMaxChain = 16;

constexpr std::uint32_t clean_ttl(std::uint32_t ttl) { return ttl > 0x7FFF'FFFF ? 0 : ttl; }  // RFC 2181 8

// A record of the answer section that may belong to the chain.
struct Link {
  std::uint64_t owner_hash = 0;
  std::size_t owner_position = 0;
  RecordHead record;
};

// What one walk over the reply found.
struct Survey {
  WireName name;                         // of the question
  std::vector<Link> links;               // CNAMEs and addresses, class IN
  std::optional<std::uint32_t> soa_ttl;  // min(TTL, MINIMUM) of the first SOA in the authority section
  bool has_ns = false;                   // in the authority section
};

// Expands every owner once: names made of many pointers are dear, and the chain may take seventeen looks.
bool read_answers(std::span<const std::uint8_t> reply, std::uint16_t count, std::uint16_t type, Reader& reader,
                  Survey& survey) {
  WireName owner;
  for (std::uint16_t i = 0; i < count; ++i) {
    const std::size_t position = reader.position();
    reader.expand_name(owner);
    const RecordHead record = read_record(reader);
    if (reader.failed()) return false;
    if (record.rclass != kClassIn || (record.type != type && record.type != kTypeCname)) continue;
    if (survey.links.empty()) survey.links.reserve(std::min<std::size_t>(count, reply.size() / 12));
    survey.links.push_back({name_hash(owner.span(), 0), position, record});
  }
  return true;
}

bool read_authorities(std::span<const std::uint8_t> reply, std::uint16_t count, Reader& reader, Survey& survey) {
  for (std::uint16_t i = 0; i < count; ++i) {
    reader.skip_name();
    const RecordHead record = read_record(reader);
    if (reader.failed()) return false;
    if (record.rclass != kClassIn) continue;
    if (record.type == kTypeNs) survey.has_ns = true;
    if (record.type != kTypeSoa || survey.soa_ttl) continue;
    Reader data(reply, record.data_position);
    data.skip_name();
    data.skip_name();
    data.bytes(16);
    const std::uint32_t minimum = data.u32();
    if (data.failed() || data.position() != record.data_position + record.data.size()) return false;
    survey.soa_ttl = std::min(clean_ttl(record.ttl), clean_ttl(minimum));
  }
  return true;
}

// False: malformed. A record takes eleven octets or fails the reader, which bounds the loops whatever the counts say.
bool look_over(std::span<const std::uint8_t> reply, std::uint16_t type, Survey& survey) {
  Reader reader(reply);
  reader.u32();  // ID and flags
  const std::uint16_t questions = reader.u16();
  const std::uint16_t answers = reader.u16();
  const std::uint16_t authorities = reader.u16();
  const std::uint16_t additional = reader.u16();
  reader.expand_name(survey.name);
  reader.u32();  // type and class
  if (questions != 1 || reader.failed()) return false;
  if (!read_answers(reply, answers, type, reader, survey)) return false;
  if (!read_authorities(reply, authorities, reader, survey)) return false;
  for (std::uint16_t i = 0; i < additional && !reader.failed(); ++i) {
    reader.skip_name();
    read_record(reader);
  }
  return !reader.failed();
}

enum class Step : std::uint8_t { kAddresses, kAlias, kEnd, kMalformed };

// Of more than `limit` the smallest stay: an upstream rotates the records of its replies, and which ones are kept must
// not change with that.
void keep(const IpAddress& address, std::size_t limit, std::vector<IpAddress>& found) {
  if (limit == 0 || std::find(found.begin(), found.end(), address) != found.end()) return;
  if (found.size() == limit) {
    const auto largest = std::max_element(found.begin(), found.end());
    if (*largest < address) return;
    found.erase(largest);
  }
  found.push_back(address);
}

// What the answer section says about survey.name. An address there wins over a CNAME, which may not stand beside it; of
// several CNAMEs the first counts. kAlias: survey.name is now the alias.
Step look_at_name(std::span<const std::uint8_t> reply, std::size_t limit, Survey& survey, Addresses& result) {
  const std::uint64_t hash = name_hash(survey.name.span(), 0);
  const Link* alias = nullptr;
  WireName owner;
  for (const Link& link : survey.links) {
    const RecordHead& record = link.record;
    if (link.owner_hash != hash || (record.type == kTypeCname && alias != nullptr)) continue;
    Reader(reply, link.owner_position).expand_name(owner);
    if (!names_equal(owner.span(), survey.name.span())) continue;
    if (record.type == kTypeCname) {
      alias = &link;
      continue;
    }
    if (record.data.size() != (record.type == kTypeA ? 4U : 16U)) return Step::kMalformed;
    const IpAddress address =
        record.type == kTypeA ? IpAddress::v4(record.data.data()) : IpAddress::v6(record.data.data());
    result.ttl = std::min(result.ttl, clean_ttl(record.ttl));
    keep(address, limit, result.addresses);
    result.status = Addresses::Status::kFound;
  }
  if (result.status == Addresses::Status::kFound) return Step::kAddresses;
  if (alias == nullptr) return Step::kEnd;
  Reader data(reply, alias->record.data_position);
  data.expand_name(survey.name);
  if (data.failed() || data.position() != alias->record.data_position + alias->record.data.size()) {
    return Step::kMalformed;
  }
  result.ttl = std::min(result.ttl, clean_ttl(alias->record.ttl));
  return Step::kAlias;
}

}  // namespace

Addresses read_addresses(std::span<const std::uint8_t> reply, std::uint16_t type, std::size_t limit) {
  HAR_ASSERT(type == kTypeA || type == kTypeAaaa);
  Addresses failed;
  if (reply.size() < kHeaderSize) return failed;
  const ReplyHead head = read_head(reply);
  if (head.truncated || (head.rcode != kNoError && head.rcode != kNxDomain)) return failed;
  Survey survey;
  if (!look_over(reply, type, survey)) return failed;

  Addresses result;
  result.ttl = 0xFFFF'FFFF;
  // A chain of sixteen CNAMEs takes seventeen looks. A loop is a chain that does not end.
  for (int looks = 0; looks <= kMaxChain; ++looks) {
    switch (look_at_name(reply, limit, survey, result)) {
      case Step::kAddresses:
        if (head.rcode != kNoError) return failed;  // says at once that it exists and that it does not
        return result;
      case Step::kAlias:
        continue;
      case Step::kMalformed:
        return failed;
      case Step::kEnd:
        // NS records without a SOA are a referral: the server did not look further (RFC 2308 2.2).
        if (head.rcode == kNoError && survey.has_ns && !survey.soa_ttl) return failed;
        result.status = head.rcode == kNxDomain ? Addresses::Status::kNxDomain : Addresses::Status::kNoData;
        result.ttl = std::min(result.ttl, survey.soa_ttl.value_or(0));
        return result;
    }
  }
  return failed;
}

std::size_t write_query(std::uint16_t id, std::span<const std::uint8_t> name, std::uint16_t type,
                        std::span<std::uint8_t> out) {
  Writer writer(out);
  writer.u16(id);
  writer.u16(kRd);
  writer.u16(1);
  for (int i = 0; i < 3; ++i) writer.u16(0);
  writer.bytes(name);
  writer.u16(type);
  writer.u16(kClassIn);
  HAR_ASSERT(!writer.failed());
  return writer.size();
}

}  // namespace har::dns
