// What soak_load may be answered, and the octets of messages. Not part of the product.
#pragma once

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

struct Name {
  std::string text;
  bool is_dual = false;
  std::vector<std::string> addresses;  // 4 or 16 octets each
};

inline std::uint16_t number16(const std::string& wire, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<std::uint8_t>(wire[at]) << 8 | static_cast<std::uint8_t>(wire[at + 1]));
}

inline std::string wire16(unsigned n) { return {static_cast<char>(n >> 8), static_cast<char>(n & 255)}; }

// The records behind the question as (type, data); false where the message does not hold what it says.
inline bool read_records(const std::string& wire, std::size_t at, std::size_t count,
                         std::vector<std::pair<std::uint16_t, std::string>>& out) {
  for (std::size_t i = 0; i < count; ++i) {
    while (at < wire.size() && wire[at] != 0 && (wire[at] & 0xC0) == 0)
      at += 1 + static_cast<std::size_t>(static_cast<std::uint8_t>(wire[at]));
    if (at >= wire.size()) return false;
    at += wire[at] == 0 ? 1 : 2;
    if (wire.size() < at + 10) return false;
    const std::size_t size = number16(wire, at + 8);
    if (wire.size() < at + 10 + size) return false;
    out.emplace_back(number16(wire, at), wire.substr(at + 10, size));
    at += 10 + size;
  }
  return true;
}

inline std::vector<Name> read_names(const char* path) {
  std::vector<Name> names;
  std::ifstream file(path);
  Name name;
  for (std::string how, list; file >> name.text >> how >> list; names.push_back(name)) {
    name.is_dual = how == "dual";
    name.addresses.clear();
    std::istringstream addresses(list);
    for (std::string text; std::getline(addresses, text, ',');) {
      std::array<char, 16> octets;
      const bool is_v6 = text.find(':') != std::string::npos;
      if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text.c_str(), octets.data()) != 1) return {};
      name.addresses.emplace_back(octets.data(), is_v6 ? 16U : 4U);
    }
  }
  return names;
}
