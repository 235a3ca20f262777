// For the tests of answer: packets made by hand, replies taken apart again (by code that shares nothing with
// dns/reply).
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "dns/name.h"
#include "dns/types.h"

namespace har::answer::testing {

using Bytes = std::vector<std::uint8_t>;

inline void append(Bytes& to, std::span<const std::uint8_t> from) { to.insert(to.end(), from.begin(), from.end()); }
inline void append_u16(Bytes& to, unsigned value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8));
  to.push_back(static_cast<std::uint8_t>(value));
}

// A wire name with the case of the text kept.
inline Bytes wire_as_written(std::string_view text) {
  Bytes out;
  while (!text.empty()) {
    const auto dot = std::min(text.find('.'), text.size());
    out.push_back(static_cast<std::uint8_t>(dot));
    for (const char c : text.substr(0, dot)) out.push_back(static_cast<std::uint8_t>(c));
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  out.push_back(0);
  return out;
}

struct Opt {
  std::uint16_t size = 1232;
  std::uint8_t version = 0;
  bool dnssec_ok = false;
  Bytes options = {};
};

struct Ask {
  std::string name = "a.example";
  unsigned type = dns::kTypeA;
  std::optional<Opt> opt = std::nullopt;
  unsigned qclass = dns::kClassIn;
  unsigned flags = dns::kRd;  // opcode included
  unsigned id = 0x1234;
};

inline void append_opt(Bytes& out, const Opt& opt) {
  out.push_back(0);
  append_u16(out, dns::kTypeOpt);
  append_u16(out, opt.size);
  out.push_back(0);
  out.push_back(opt.version);
  append_u16(out, opt.dnssec_ok ? 0x8000 : 0);
  append_u16(out, static_cast<unsigned>(opt.options.size()));
  append(out, opt.options);
}

inline Bytes packet_of(const Ask& ask) {
  Bytes out;
  append_u16(out, ask.id);
  append_u16(out, ask.flags);
  for (const unsigned count : {1u, 0u, 0u, ask.opt ? 1u : 0u}) append_u16(out, count);
  append(out, wire_as_written(ask.name));
  append_u16(out, ask.type);
  append_u16(out, ask.qclass);
  if (ask.opt) append_opt(out, *ask.opt);
  return out;
}

struct Record {
  std::string owner;
  unsigned type = 0;
  std::uint32_t ttl = 0;
  Bytes data;
};

// A reply in pieces. Throws std::out_of_range (failing the test) where the reply is not whole.
struct Parsed {
  unsigned id = 0, flags = 0, rcode = 0;  // rcode: with the OPT's upper bits
  Bytes question;
  std::vector<Record> answers, authorities;
  std::optional<Opt> opt;
  std::optional<unsigned> ede;
  std::string ede_text;
  std::uint32_t soa_minimum = 0;

  explicit Parsed(const Bytes& reply) : bytes_(reply) {
    id = u16();
    flags = u16();
    rcode = flags & 0xF;
    const unsigned questions = u16(), answer_count = u16(), authority_count = u16(), additional_count = u16();
    EXPECT_LE(questions, 1u);
    if (questions == 1) {
      name();
      at_ += 4;
      question.assign(bytes_.begin() + 12, bytes_.begin() + static_cast<std::ptrdiff_t>(at_));
    }
    for (unsigned i = 0; i < answer_count; ++i) answers.push_back(record());
    for (unsigned i = 0; i < authority_count; ++i) authorities.push_back(record());
    EXPECT_LE(additional_count, 1u);
    for (unsigned i = 0; i < additional_count; ++i) take_opt();
    EXPECT_EQ(at_, bytes_.size()) << "octets behind the last record";
    for (const auto& record : authorities) {
      EXPECT_EQ(record.type, dns::kTypeSoa);
      for (std::size_t i = record.data.size() - 4; i < record.data.size(); ++i) {
        soa_minimum = soa_minimum << 8 | record.data.at(i);
      }
    }
  }

  bool has(dns::Flag flag) const { return (flags & flag) != 0; }

  // The addresses in their order, e.g. "192.0.2.1 2001:db8::1".
  std::string addresses() const {
    std::string out;
    for (const auto& record : answers) {
      const bool v4 = record.type == dns::kTypeA;
      EXPECT_TRUE(v4 || record.type == dns::kTypeAaaa);
      EXPECT_EQ(record.data.size(), v4 ? 4u : 16u);
      if (!out.empty()) out += ' ';
      out += (v4 ? IpAddress::v4(record.data.data()) : IpAddress::v6(record.data.data())).to_string();
    }
    return out;
  }

 private:
  unsigned u8() { return bytes_.at(at_++); }
  unsigned u16() {
    const unsigned high = u8();
    return high << 8 | u8();
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  std::string name() {
    std::string out;
    std::size_t at = at_;
    bool jumped = false;
    for (int labels = 0; labels < 130; ++labels) {
      const unsigned size = bytes_.at(at++);
      if (size >= 0xC0) {
        const std::size_t to = (size & 0x3F) << 8 | bytes_.at(at++);
        if (!jumped) at_ = at;
        jumped = true;
        at = to;
        continue;
      }
      if (size == 0) break;
      if (!out.empty()) out += '.';
      for (unsigned i = 0; i < size; ++i) out += static_cast<char>(bytes_.at(at++));
    }
    if (!jumped) at_ = at;
    return out;
  }
  Record record() {
    Record out;
    out.owner = name();
    out.type = u16();
    EXPECT_EQ(u16(), dns::kClassIn);
    out.ttl = u32();
    for (unsigned left = u16(); left > 0; --left) out.data.push_back(static_cast<std::uint8_t>(u8()));
    return out;
  }
  void take_opt() {
    EXPECT_EQ(u8(), 0u);
    EXPECT_EQ(u16(), dns::kTypeOpt);
    opt.emplace();
    opt->size = static_cast<std::uint16_t>(u16());
    rcode |= u8() << 4;
    opt->version = static_cast<std::uint8_t>(u8());
    opt->dnssec_ok = u16() == 0x8000;
    unsigned left = u16();
    while (left > 0) {
      EXPECT_EQ(u16(), 15u) << "another option than an extended error";
      const unsigned size = u16();
      ede = u16();
      for (unsigned i = 2; i < size; ++i) ede_text += static_cast<char>(u8());
      left -= 4 + size;
    }
  }

  Bytes bytes_;
  std::size_t at_ = 0;
};

}  // namespace har::answer::testing
