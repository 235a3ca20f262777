#include "dns/match.h"

#include "dns/name.h"
#include "dns/reader.h"
#include "dns/types.h"

namespace har::dns {

namespace {

struct Head {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
  std::uint16_t additional = 0;

  std::uint8_t opcode() const { return static_cast<std::uint8_t>(flags >> 11 & 0xF); }
  std::uint8_t rcode() const { return static_cast<std::uint8_t>(flags & 0xF); }
};

Head read(Reader& reader) {
  Head head;
  head.id = reader.u16();
  head.flags = reader.u16();
  head.questions = reader.u16();
  head.answers = reader.u16();
  head.authorities = reader.u16();
  head.additional = reader.u16();
  return head;
}

// What the forwarder never takes for a good reply.
bool is_error(const Head& head) {
  const std::uint8_t rcode = head.rcode();
  return rcode == kFormErr || rcode == kServFail || rcode == kNotImp || rcode == kRefused;
}

bool begins_with_opt(Reader& reader) {
  const bool root = reader.u8() == 0;
  return reader.u16() == kTypeOpt && root && !reader.failed();
}

bool same_question(Reader& query, Reader& reply) {
  const auto asked = query.plain_name();
  const auto asked_type = query.u16();
  const auto asked_class = query.u16();
  const auto name = reply.plain_name();
  const auto type = reply.u16();
  const auto rclass = reply.u16();
  return !query.failed() && !reply.failed() && type == asked_type && rclass == asked_class && names_equal(asked, name);
}

}  // namespace

bool reply_matches(std::span<const std::uint8_t> query, std::span<const std::uint8_t> reply) {
  Reader query_reader(query);
  Reader reply_reader(reply);
  const Head asked = read(query_reader);
  const Head got = read(reply_reader);
  if (query_reader.failed() || reply_reader.failed()) return false;
  if ((got.flags & kQr) == 0 || got.id != asked.id || got.opcode() != asked.opcode()) return false;

  if (asked.opcode() == kOpcodeQuery) {
    if (asked.questions != 1) return false;  // such a query is answered with FORMERR here, it is never sent
    if (got.questions == 1) return same_question(query_reader, reply_reader);
    return got.questions == 0 && is_error(got) && got.answers == 0 && got.authorities == 0 &&
           (got.additional == 0 || (got.additional == 1 && begins_with_opt(reply_reader)));
  }
  if (got.questions == 0) return true;
  if (got.questions != asked.questions) return false;
  // What "question" means beyond one of them is the opcode's own business (DSO has none, UPDATE has a zone).
  return asked.questions != 1 || same_question(query_reader, reply_reader);
}

ReplyHead read_head(std::span<const std::uint8_t> reply) {
  Reader reader(reply);
  const Head head = read(reader);
  return {.id = head.id,
          .flags = head.flags,
          .rcode = head.rcode(),
          .truncated = (head.flags & kTc) != 0,
          .answers = head.answers};
}

}  // namespace har::dns
