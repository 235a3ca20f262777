#include "dns/addresses.h"

#include <algorithm>
#include <optional>

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

struct Sections {
  std::size_t answers_at = 0;
  std::uint16_t answers = 0;
  std::optional<std::uint32_t> soa_ttl;  // min(TTL, MINIMUM) of the first SOA in the authority section
  bool has_ns = false;                   // in the authority section
};

// Reads the question into `name` and walks every record once, so that the later passes meet no surprise but in names.
// False: malformed. A record takes eleven octets or fails the reader, which bounds the loops whatever the counts say.
bool survey(std::span<const std::uint8_t> reply, WireName& name, Sections& sections) {
  Reader reader(reply);
  reader.u32();  // ID and flags
  const std::uint16_t questions = reader.u16();
  sections.answers = reader.u16();
  const std::uint16_t authorities = reader.u16();
  const std::uint16_t additional = reader.u16();
  reader.expand_name(name);
  reader.u32();  // type and class
  if (questions != 1 || reader.failed()) return false;
  sections.answers_at = reader.position();
  for (std::uint16_t i = 0; i < sections.answers && !reader.failed(); ++i) {
    reader.skip_name();
    read_record(reader);
  }
  for (std::uint16_t i = 0; i < authorities && !reader.failed(); ++i) {
    reader.skip_name();
    const RecordHead record = read_record(reader);
    if (reader.failed() || record.rclass != kClassIn) continue;
    if (record.type == kTypeNs) sections.has_ns = true;
    if (record.type != kTypeSoa || sections.soa_ttl) continue;
    Reader data(reply, record.data_position);
    data.skip_name();
    data.skip_name();
    data.bytes(16);
    const std::uint32_t minimum = data.u32();
    if (data.failed() || data.position() != record.data_position + record.data.size()) return false;
    sections.soa_ttl = std::min(clean_ttl(record.ttl), clean_ttl(minimum));
  }
  for (std::uint16_t i = 0; i < additional && !reader.failed(); ++i) {
    reader.skip_name();
    read_record(reader);
  }
  return !reader.failed();
}

enum class Step : std::uint8_t { kAddresses, kAlias, kEnd, kMalformed };

// One pass over the answer section: what it says about `name`. An address there wins over a CNAME, which may not stand
// beside it; of several CNAMEs the first counts. `target` is the alias found.
Step look_at(std::span<const std::uint8_t> reply, const Sections& sections, const WireName& name, std::uint16_t type,
             std::size_t limit, Addresses& result, WireName& target) {
  Reader reader(reply, sections.answers_at);
  const std::size_t size = type == kTypeA ? 4 : 16;
  std::uint32_t alias_ttl = 0;
  target.size = 0;
  WireName owner;
  for (std::uint16_t i = 0; i < sections.answers; ++i) {
    reader.expand_name(owner);
    const RecordHead record = read_record(reader);
    if (reader.failed()) return Step::kMalformed;
    if (record.rclass != kClassIn || (record.type != type && record.type != kTypeCname)) continue;
    if (!names_equal(owner.span(), name.span())) continue;
    if (record.type == type) {
      if (record.data.size() != size) return Step::kMalformed;
      const IpAddress address = type == kTypeA ? IpAddress::v4(record.data.data()) : IpAddress::v6(record.data.data());
      result.ttl = std::min(result.ttl, clean_ttl(record.ttl));
      auto& found = result.addresses;
      if (found.size() < limit && std::find(found.begin(), found.end(), address) == found.end()) {
        found.push_back(address);
      }
      result.status = Addresses::Status::kFound;
    } else if (target.size == 0) {
      Reader data(reply, record.data_position);
      data.expand_name(target);
      if (data.failed() || data.position() != record.data_position + record.data.size()) return Step::kMalformed;
      alias_ttl = clean_ttl(record.ttl);
    }
  }
  if (result.status == Addresses::Status::kFound) return Step::kAddresses;
  if (target.size == 0) return Step::kEnd;
  result.ttl = std::min(result.ttl, alias_ttl);
  return Step::kAlias;
}

}  // namespace

Addresses read_addresses(std::span<const std::uint8_t> reply, std::uint16_t type, std::size_t limit) {
  HAR_ASSERT(type == kTypeA || type == kTypeAaaa);
  const Addresses failed;
  if (reply.size() < kHeaderSize) return failed;
  const ReplyHead head = read_head(reply);
  if (head.truncated || (head.rcode != kNoError && head.rcode != kNxDomain)) return failed;
  WireName name;
  Sections sections;
  if (!survey(reply, name, sections)) return failed;

  Addresses result;
  result.ttl = 0xFFFF'FFFF;
  WireName target;
  // A chain of sixteen CNAMEs takes seventeen looks. A loop is a chain that does not end.
  for (int looks = 0; looks <= kMaxChain; ++looks) {
    switch (look_at(reply, sections, name, type, limit, result, target)) {
      case Step::kAddresses:
        if (head.rcode != kNoError) return failed;  // says at once that it exists and that it does not
        return result;
      case Step::kAlias:
        name = target;
        continue;
      case Step::kMalformed:
        return failed;
      case Step::kEnd:
        // NS records without a SOA are a referral: the server did not look further (RFC 2308 2.2).
        if (head.rcode == kNoError && sections.has_ns && !sections.soa_ttl) return failed;
        result.status = head.rcode == kNxDomain ? Addresses::Status::kNxDomain : Addresses::Status::kNoData;
        result.ttl = std::min(result.ttl, sections.soa_ttl.value_or(0));
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
