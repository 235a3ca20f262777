#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace har {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof buffer) return std::nullopt;
  std::copy(text.begin(), text.end(), buffer);
  buffer[text.size()] = '\0';
  if (std::string_view(buffer).size() != text.size()) return std::nullopt;  // a NUL inside
  IpAddress out;
  if (inet_pton(AF_INET, buffer, out.bytes.data()) == 1) return out;
  out.family = Family::kV6;
  if (inet_pton(AF_INET6, buffer, out.bytes.data()) == 1) return out;
  return std::nullopt;
}

IpAddress IpAddress::v4(const std::uint8_t* four) {
  IpAddress out;
  std::memcpy(out.bytes.data(), four, 4);
  return out;
}

IpAddress IpAddress::v6(const std::uint8_t* sixteen) {
  IpAddress out;
  out.family = Family::kV6;
  std::memcpy(out.bytes.data(), sixteen, 16);
  return out;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(family == Family::kV4 ? AF_INET : AF_INET6, bytes.data(), buffer, sizeof buffer);
  return buffer;
}

bool IpAddress::is_loopback() const {
  if (family == Family::kV4) return bytes[0] == 127;
  return std::all_of(bytes.begin(), bytes.begin() + 15, [](std::uint8_t b) { return b == 0; }) && bytes[15] == 1;
}

bool IpAddress::is_unspecified() const {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

std::string IpPort::to_string() const { return ip.to_string() + "#" + std::to_string(port); }

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto ip = IpAddress::parse(text.substr(0, slash));
  if (!ip) return std::nullopt;
  const unsigned whole = static_cast<unsigned>(ip->size()) * 8;
  unsigned length = whole;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > whole) return std::nullopt;
  }
  IpPrefix out{*ip, static_cast<std::uint8_t>(length)};
  for (unsigned bit = length; bit < whole; ++bit) {
    out.ip.bytes[bit / 8] = static_cast<std::uint8_t>(out.ip.bytes[bit / 8] & ~(0x80u >> (bit % 8)));
  }
  return out;
}

bool IpPrefix::contains(const IpAddress& address) const {
  if (address.family != ip.family) return false;
  const unsigned whole = length / 8u;
  if (std::memcmp(address.bytes.data(), ip.bytes.data(), whole) != 0) return false;
  const unsigned rest = length % 8u;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFFu << (8 - rest));
  return (address.bytes[whole] & mask) == (ip.bytes[whole] & mask);
}

std::string IpPrefix::to_string() const { return ip.to_string() + "/" + std::to_string(length); }

}  // namespace har
