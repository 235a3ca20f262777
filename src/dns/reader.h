// Reads big-endian fields and names from a message. The first read that does not fit makes the reader fail, and it
// stays failed: every later read gives zero or nothing. Read on, check failed() once.
// Source: RFC 1035 4.1.  Thread: any.  Tested by: reader_test.cc, tests/fuzz/query_fuzz.cc, tests/fuzz/reply_fuzz.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dns/name.h"
#include "dns/types.h"

namespace har::dns {

// An uncompressed wire name by value. Empty only where nothing was read: the root is one zero octet.
struct WireName {
  std::array<std::uint8_t, kMaxNameSize> octets;
  std::size_t size = 0;
  std::span<const std::uint8_t> span() const { return {octets.data(), size}; }
};

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> message, std::size_t position = 0)
      : message_(message), position_(position), failed_(position > message.size()) {}

  std::uint8_t u8() {
    const auto at = bytes(1);
    return at.empty() ? std::uint8_t{0} : at[0];
  }
  std::uint16_t u16() {
    const auto at = bytes(2);
    return at.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>(at[0] << 8 | at[1]);
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  std::span<const std::uint8_t> bytes(std::size_t n) {
    if (n > left()) {
      failed_ = true;
      return {};
    }
    const auto at = message_.subspan(position_, n);
    position_ += n;
    return at;
  }

  // A name without compression, as it stands in the message.
  std::span<const std::uint8_t> plain_name() {
    const std::size_t n = failed_ ? 0 : wire_name_size(message_.subspan(position_));
    if (n == 0) failed_ = true;
    return bytes(n);
  }
  // Goes past a name, compressed or not, without following pointers.
  void skip_name();
  // Reads a name and follows its pointers; each must point before the place that the last one led to (so there is no
  // loop). Leaves `name` empty on failure.
  void expand_name(WireName& name);

  std::size_t position() const { return position_; }
  std::size_t left() const { return failed_ ? 0 : message_.size() - position_; }
  bool failed() const { return failed_; }
  void fail() { failed_ = true; }

 private:
  std::span<const std::uint8_t> message_;
  std::size_t position_;
  bool failed_;
};

// The fixed part of a resource record, after its owner.
struct RecordHead {
  std::uint16_t type = 0;
  std::uint16_t rclass = 0;
  std::uint32_t ttl = 0;          // as it stands: OPT keeps flags here
  std::size_t data_position = 0;  // of the RDATA in the message, for names in it
  std::span<const std::uint8_t> data;
};
inline RecordHead read_record(Reader& reader) {
  RecordHead head;
  head.type = reader.u16();
  head.rclass = reader.u16();
  head.ttl = reader.u32();
  const std::uint16_t size = reader.u16();
  head.data_position = reader.position();
  head.data = reader.bytes(size);
  return head;
}

}  // namespace har::dns
