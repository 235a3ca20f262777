#include "upstream/transfer_end.h"

#include "dns/reader.h"
#include "dns/types.h"

namespace har::upstream {
namespace {

// The serial stands behind the two names of a SOA's RDATA. They may be compressed: skipped within the message.
std::uint32_t soa_serial(std::span<const std::uint8_t> message, const dns::RecordHead& head, bool& failed) {
  dns::Reader data(message, head.data_position);
  data.skip_name();
  data.skip_name();
  const std::uint32_t serial = data.u32();
  failed = failed || data.failed();
  return serial;
}

void skip_questions(dns::Reader& reader, std::uint16_t count) {
  for (std::uint16_t i = 0; i < count && !reader.failed(); ++i) {
    reader.skip_name();
    reader.bytes(4);
  }
}

}  // namespace

TransferEnd::TransferEnd(std::span<const std::uint8_t> query) {
  dns::Reader reader(query, 4);
  const std::uint16_t questions = reader.u16();
  reader.u16();
  const std::uint16_t authorities = reader.u16();
  reader.u16();
  if (questions != 1) return;
  reader.skip_name();
  incremental_ = reader.u16() == dns::kTypeIxfr;
  reader.u16();
  if (!incremental_ || authorities == 0) return;
  reader.skip_name();
  const dns::RecordHead head = dns::read_record(reader);
  bool failed = reader.failed() || head.type != dns::kTypeSoa;
  if (!failed) client_serial_ = soa_serial(query, head, failed);
  has_serial_ = !failed;
}

void TransferEnd::take_record(bool is_soa, std::uint32_t serial) {
  switch (state_) {
    case State::kNothing:
      newest_ = serial;
      state_ = is_soa ? State::kFirstSoa : State::kEnded;  // no transfer begins so
      break;
    case State::kFirstSoa:
      if (!is_soa) {
        state_ = State::kWholeZone;
      } else {
        state_ = incremental_ && serial != newest_ ? State::kDeleted : State::kEnded;
      }
      break;
    case State::kWholeZone:
      if (is_soa) state_ = State::kEnded;
      break;
    case State::kDeleted:
      if (is_soa) state_ = State::kAdded;
      break;
    case State::kAdded:
      if (is_soa) state_ = serial == newest_ ? State::kEnded : State::kDeleted;
      break;
    case State::kEnded:
    case State::kUnclear:
      break;
  }
}

TransferEnd::Verdict TransferEnd::take(std::span<const std::uint8_t> message) {
  if (state_ == State::kUnclear) return Verdict::kUnclear;
  const bool first = state_ == State::kNothing;
  dns::Reader reader(message, 2);
  const std::uint16_t flags = reader.u16();
  const std::uint16_t questions = reader.u16();
  const std::uint16_t answers = reader.u16();
  reader.u32();
  skip_questions(reader, questions);
  bool failed = reader.failed();
  if (!failed && ((flags & 0x000F) != dns::kNoError || (first && answers == 0))) return Verdict::kLast;
  for (std::uint16_t i = 0; i < answers && !failed && state_ != State::kEnded; ++i) {
    reader.skip_name();
    const dns::RecordHead head = dns::read_record(reader);
    failed = reader.failed();
    if (failed) break;
    const bool is_soa = head.type == dns::kTypeSoa;
    const std::uint32_t serial = is_soa ? soa_serial(message, head, failed) : 0;
    if (!failed) take_record(is_soa, serial);
  }
  if (failed) {
    state_ = State::kUnclear;
    return Verdict::kUnclear;
  }
  if (state_ == State::kEnded) return Verdict::kLast;
  // One SOA alone answers an IXFR of a client that has this serial or a later one (RFC 1982 arithmetic). From a server
  // that sends a record a message it may also be the beginning of a transfer: the serials tell.
  if (first && incremental_ && answers == 1 && has_serial_ &&
      static_cast<std::int32_t>(newest_ - client_serial_) <= 0) {
    state_ = State::kEnded;
    return Verdict::kLast;
  }
  return Verdict::kMore;
}

}  // namespace har::upstream
