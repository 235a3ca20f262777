#include "dns/query.h"

#include "dns/opt.h"
#include "dns/reader.h"

namespace har::dns {

namespace {

constexpr std::uint32_t kDnssecOk = 0x8000;
// An OPT record was met. A second one, or one out of place, leaves what the first said.
void take_opt(Edns& edns, const RecordHead& record, bool in_place) {
  if (edns.present || !in_place) {
    edns.present = true;
    edns.malformed = true;
    return;
  }
  edns.present = true;
  edns.version = static_cast<std::uint8_t>(record.ttl >> 16);
  edns.dnssec_ok = (record.ttl & kDnssecOk) != 0;
  edns.udp_size = record.rclass;
  // Only version 0 says what the data looks like; a later one gets BADVERS, which tells the client more than FORMERR.
  if (edns.version > 0) return;
  const Options options = read_options(record.data);
  edns.malformed = options.malformed;
  edns.cookie = options.cookie;
}

// Walks all records behind the questions. Each takes at least eleven octets or fails the reader, so a packet of 65,535
// octets has 5,957 at most, whatever its counts say.
void read_edns(Reader& reader, std::size_t before_additional, std::size_t additional, Edns& edns) {
  const std::size_t all = before_additional + additional;
  for (std::size_t i = 0; i < all; ++i) {
    const std::size_t owner = reader.position();
    reader.skip_name();
    const bool root = reader.position() == owner + 1;  // one zero octet: OPT's owner is never compressed
    const RecordHead record = read_record(reader);
    if (reader.failed()) {
      edns.malformed = true;
      return;
    }
    if (record.type == kTypeOpt) take_opt(edns, record, root && i >= before_additional);
  }
}

}  // namespace

Query parse_query(std::span<const std::uint8_t> packet) {
  Query query;
  Reader reader(packet);
  query.id = reader.u16();
  query.flags = reader.u16();
  const std::uint16_t questions = reader.u16();
  const std::size_t answers = reader.u16();
  const std::size_t authorities = reader.u16();
  const std::size_t additional = reader.u16();
  if (reader.failed() || (query.flags & kQr) != 0) return query;
  query.opcode = static_cast<std::uint8_t>(query.flags >> 11 & 0xF);
  if (query.opcode != kOpcodeQuery) {
    query.status = Query::Status::kOtherOpcode;
    return query;
  }

  query.status = Query::Status::kBadQuestion;
  if (questions == 1) {
    // No compression here: there is no earlier name that a pointer could mean.
    const auto name = reader.plain_name();
    const std::uint16_t type = reader.u16();
    const std::uint16_t qclass = reader.u16();
    if (reader.failed()) return query;
    query.status = Query::Status::kOk;
    query.name = name;
    query.question = packet.subspan(kHeaderSize, name.size() + 4);
    query.type = type;
    query.qclass = qclass;
  } else {
    // The FORMERR that this gets still owes the client an OPT for its OPT (RFC 6891 6.1.1).
    for (std::uint16_t i = 0; i < questions && !reader.failed(); ++i) {
      reader.skip_name();
      reader.bytes(4);
    }
    if (reader.failed()) return query;
  }
  read_edns(reader, answers + authorities, additional, query.edns);
  return query;
}

}  // namespace har::dns
