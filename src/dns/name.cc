#include "dns/name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace har::dns {

namespace {

constexpr std::size_t kMaxLabelSize = 63;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_plain(std::uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}
constexpr std::uint8_t fold(std::uint8_t c) { return c >= 'A' && c <= 'Z' ? static_cast<std::uint8_t>(c | 0x20) : c; }

constexpr std::uint64_t repeat(std::uint8_t octet) { return octet * 0x0101010101010101ULL; }

// fold() for eight octets at once. No carry leaves an octet: 0x7F + 0x3F is below 0x100.
constexpr std::uint64_t fold(std::uint64_t eight) {
  const std::uint64_t low = eight & repeat(0x7F);
  const std::uint64_t from_a = low + repeat(0x80 - 'A');
  const std::uint64_t past_z = low + repeat(0x80 - 'Z' - 1);
  const std::uint64_t upper = (from_a & ~past_z & ~eight) & repeat(0x80);
  return eight | upper >> 2;
}

std::uint64_t load(const std::uint8_t* from, std::size_t n) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, n);
  return word;
}

// One octet of a label in text, escapes resolved. `at` moves behind it.
Result<std::uint8_t> read_octet(std::string_view text, std::size_t& at) {
  const char c = text[at++];
  if (c != '\\') {
    if (is_plain(static_cast<std::uint8_t>(c))) return static_cast<std::uint8_t>(c);
    if (c > ' ' && c < '\x7F') {
      return failure(
          fmt::format("'{}' in a name; letters, digits, '-' and '_' may stand there (or \\{} if it is meant)", c, c));
    }
    return failure(
        fmt::format("octet {0} in a name; letters, digits, '-' and '_' may stand there (or \\{0:03} if it "
                    "is meant)",
                    static_cast<std::uint8_t>(c)));
  }
  if (at >= text.size()) return failure("a name that ends in '\\'");
  if (!is_digit(text[at])) return static_cast<std::uint8_t>(text[at++]);
  if (text.size() - at < 3 || !is_digit(text[at + 1]) || !is_digit(text[at + 2])) {
    return failure("'\\' before a digit must be followed by three digits");
  }
  const int value = (text[at] - '0') * 100 + (text[at + 1] - '0') * 10 + (text[at + 2] - '0');
  at += 3;
  if (value > 255) return failure(fmt::format("\\{:03} is no octet (at most \\255)", value));
  return static_cast<std::uint8_t>(value);
}

}  // namespace

Result<std::vector<std::uint8_t>> name_to_wire(std::string_view text) {
  if (text.empty()) return failure("an empty name");
  if (text == ".") return std::vector<std::uint8_t>{0};
  std::vector<std::uint8_t> wire;
  wire.push_back(0);  // the first label's length, set when the label ends
  std::size_t label = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = wire.size() - label - 1;
    if (text[at] == '.') {
      if (length == 0) return failure("an empty label");
      ++at;
      if (at == text.size()) break;  // the trailing dot
      wire[label] = static_cast<std::uint8_t>(length);
      label = wire.size();
      wire.push_back(0);
      continue;
    }
    const auto octet = read_octet(text, at);
    if (!octet) return tl::unexpected<Error>(octet.error());
    if (length == kMaxLabelSize) return failure("a label over 63 octets");
    wire.push_back(fold(*octet));
    if (wire.size() >= kMaxNameSize) return failure("a name over 255 octets");
  }
  wire[label] = static_cast<std::uint8_t>(wire.size() - label - 1);
  wire.push_back(0);
  return wire;
}

std::string name_to_text(std::span<const std::uint8_t> wire) {
  std::string text;
  for (std::size_t at = 0; at < wire.size() && wire[at] != 0;) {
    const std::size_t length = std::min<std::size_t>(wire[at], wire.size() - at - 1);
    if (!text.empty()) text += '.';
    for (const std::uint8_t c : wire.subspan(at + 1, length)) {
      if (is_plain(c)) {
        text += static_cast<char>(c);
      } else if (c > ' ' && c < 0x7F) {
        text += '\\';
        text += static_cast<char>(c);
      } else {
        text += fmt::format("\\{:03}", c);
      }
    }
    at += length + 1;
  }
  return text.empty() ? "." : text;
}

// Lengths are at most 63, below 'A': folding leaves them alone, so names are compared and hashed as plain octets.
bool names_equal(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  if (a.size() != b.size()) return false;
  const auto equal = [&](std::size_t at, std::size_t n) {
    const std::uint64_t x = load(a.data() + at, n);
    const std::uint64_t y = load(b.data() + at, n);
    return x == y || fold(x) == fold(y);
  };
  const std::size_t size = a.size();
  if (size < 8) return size == 0 || equal(0, size);
  for (std::size_t at = 0; size - at > 8; at += 8) {
    if (!equal(at, 8)) return false;
  }
  return equal(size - 8, 8);  // the last eight, some of them perhaps for the second time
}

// Each step is a bijection of the state, so two names of one length collide only by mixing, never by cancelling;
// the end is the finalizer of MurmurHash3. Not against an enemy: the names in a table come from its configuration.
std::uint64_t name_hash(std::span<const std::uint8_t> wire, std::uint64_t seed) {
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15ULL;
  std::uint64_t h = seed ^ (wire.size() * kOdd);
  const auto mix = [&h](std::uint64_t word) {
    h = (h ^ fold(word)) * kOdd;
    h ^= h >> 32;
  };
  const std::size_t size = wire.size();
  if (size >= 8) {
    for (std::size_t at = 0; size - at > 8; at += 8) mix(load(wire.data() + at, 8));
    mix(load(wire.data() + size - 8, 8));
  } else if (size > 0) {
    mix(load(wire.data(), size));
  }
  h ^= h >> 33;
  h *= 0xFF51AFD7ED558CCDULL;
  h ^= h >> 33;
  h *= 0xC4CEB9FE1A85EC53ULL;
  h ^= h >> 33;
  return h;
}

std::size_t wire_name_size(std::span<const std::uint8_t> bytes) {
  const std::size_t end = std::min(bytes.size(), kMaxNameSize);
  for (std::size_t at = 0; at < end; at += std::size_t{1} + bytes[at]) {
    if (bytes[at] == 0) return at + 1;
    if (bytes[at] > kMaxLabelSize) return 0;
  }
  return 0;
}

}  // namespace har::dns
