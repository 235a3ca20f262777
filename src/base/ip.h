// IP addresses, address-and-port pairs and prefixes, as plain values.
// Not for: sockets (net/sockaddr.h), names.  Tested by: ip_test.cc
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace har {

enum class Family : std::uint8_t { kV4 = 4, kV6 = 6 };

struct IpAddress {
  Family family = Family::kV4;
  std::array<std::uint8_t, 16> bytes{};  // network order; IPv4 uses the first four, the rest is zero

  // Text as inet_pton takes it; no scope, no brackets.
  static std::optional<IpAddress> parse(std::string_view text);
  static IpAddress v4(const std::uint8_t* four);
  static IpAddress v6(const std::uint8_t* sixteen);
  std::string to_string() const;

  std::size_t size() const { return family == Family::kV4 ? 4 : 16; }
  bool is_loopback() const;     // 127.0.0.0/8, ::1
  bool is_unspecified() const;  // 0.0.0.0, ::
  auto operator<=>(const IpAddress&) const = default;
};

struct IpPort {
  IpAddress ip;
  std::uint16_t port = 0;
  std::uint32_t scope = 0;  // interface index of a link-local IPv6 address, else 0

  std::string to_string() const;  // "192.0.2.1#53", "2001:db8::1#53"
  auto operator<=>(const IpPort&) const = default;
};

struct IpPrefix {
  IpAddress ip;
  std::uint8_t length = 0;

  // "192.0.2.0/24", "2001:db8::/32", or a bare address (a prefix of its whole length). Host bits are cleared.
  static std::optional<IpPrefix> parse(std::string_view text);
  bool contains(const IpAddress& address) const;
  std::string to_string() const;
  auto operator<=>(const IpPrefix&) const = default;
};

}  // namespace har

template <>
struct std::hash<har::IpAddress> {
  std::size_t operator()(const har::IpAddress& a) const noexcept {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    std::memcpy(&low, a.bytes.data(), 8);
    std::memcpy(&high, a.bytes.data() + 8, 8);
    std::uint64_t h = (low ^ (high * 0x9E3779B97F4A7C15ULL)) + static_cast<std::uint64_t>(a.family);
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93ULL;
    return static_cast<std::size_t>(h ^ (h >> 32));
  }
};
