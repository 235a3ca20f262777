// For tests: messages put together field by field, also wrong ones that no writer of ours would make.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "dns/name.h"
#include "dns/types.h"

namespace har::dns {

struct TestMessage {
  std::vector<std::uint8_t> octets;

  operator std::span<const std::uint8_t>() const { return octets; }  // NOLINT: the point of it

  TestMessage& u8(unsigned value) {
    octets.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }
  TestMessage& u16(unsigned value) { return u8(value >> 8).u8(value & 0xFF); }
  TestMessage& u32(std::uint32_t value) { return u16(value >> 16).u16(value & 0xFFFF); }
  TestMessage& raw(std::span<const std::uint8_t> more) {
    octets.insert(octets.end(), more.begin(), more.end());
    return *this;
  }
  TestMessage& raw(std::initializer_list<std::uint8_t> more) {
    octets.insert(octets.end(), more);
    return *this;
  }
  // Labels as written: case kept, no escapes. "" is the root.
  TestMessage& name(std::string_view text) {
    while (!text.empty()) {
      const std::size_t length = std::min(text.find('.'), text.size());
      u8(static_cast<unsigned>(length));
      octets.insert(octets.end(), text.begin(), text.begin() + static_cast<std::ptrdiff_t>(length));
      text.remove_prefix(std::min(length + 1, text.size()));
    }
    return u8(0);
  }
  TestMessage& header(unsigned id, unsigned flags, unsigned questions, unsigned answers = 0, unsigned authorities = 0,
                      unsigned additional = 0) {
    return u16(id).u16(flags).u16(questions).u16(answers).u16(authorities).u16(additional);
  }
  TestMessage& question(std::string_view text, unsigned type, unsigned qclass = kClassIn) {
    return name(text).u16(type).u16(qclass);
  }
  // What follows an owner, RDATA aside.
  TestMessage& record(unsigned type, std::uint32_t ttl, std::size_t size, unsigned rclass = kClassIn) {
    return u16(type).u16(rclass).u32(ttl).u16(static_cast<unsigned>(size));
  }
  TestMessage& a(std::string_view owner, std::uint32_t ttl, std::initializer_list<std::uint8_t> address) {
    return name(owner).record(kTypeA, ttl, address.size()).raw(address);
  }
  TestMessage& cname(std::string_view owner, std::uint32_t ttl, std::string_view target) {
    const TestMessage data = TestMessage{}.name(target);
    return name(owner).record(kTypeCname, ttl, data.octets.size()).raw(data.octets);
  }
  TestMessage& soa(std::string_view owner, std::uint32_t ttl, std::uint32_t minimum) {
    return name(owner).record(kTypeSoa, ttl, 22).u8(0).u8(0).u32(1).u32(2).u32(3).u32(4).u32(minimum);
  }
  TestMessage& opt(unsigned udp_size, std::uint32_t ttl = 0, std::initializer_list<std::uint8_t> data = {}) {
    return u8(0).record(kTypeOpt, ttl, data.size(), udp_size).raw(data);
  }
};

}  // namespace har::dns
