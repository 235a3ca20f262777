// The client's and the upstream's side of a scenario: packets made and read by hand, sharing nothing with dns/, so that
// a defect there cannot hide itself.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"

namespace har::replay {

using Packet = std::vector<std::uint8_t>;

struct Question {
  std::string name;  // case kept
  std::uint16_t type = 1;
  std::uint16_t qclass = 1;
  unsigned opcode = 0;
  bool edns = true;
};
std::uint16_t type_number(const std::string& word);  // A, AAAA, MX, ..., TYPE123

Packet make_query(const Question& question, std::uint16_t id);

// What an upstream sends back to `query`: NOERROR with one record of the type asked, or nothing but the rcode.
Packet make_reply(const Packet& query, unsigned rcode, bool with_answer);

struct ReplyText {
  std::uint16_t id = 0;
  bool response = false, authoritative = false, recursion = false, truncated = false;
  unsigned rcode = 0;
  unsigned answers = 0;  // of any type
  std::vector<IpAddress> addresses;
  std::optional<std::uint32_t> ttl;  // of the first address
  bool soa = false;
  std::uint32_t soa_ttl = 0;
  bool edns = false;
  std::optional<unsigned> ede;
  std::string ede_text;
  Packet question;  // octets of the question section
};
ReplyText read_reply(std::span<const std::uint8_t> packet);  // throws Mismatch

}  // namespace har::replay
