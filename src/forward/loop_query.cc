#include "forward/loop_query.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "dns/name.h"

namespace har::forward {
namespace {

constexpr std::string_view kSuffix("\x08har-loop\x07invalid\x00", 18);
constexpr std::string_view kDigits = "0123456789abcdef";

std::uint64_t little_endian(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) value = value << 8 | bytes[i - 1];
  return value;
}

void put(std::span<std::uint8_t> to, std::uint64_t value) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

std::uint32_t proof(const LoopSecret& secret, std::uint64_t nonce) {
  std::array<std::uint8_t, 9> data{};
  data[0] = 'o';
  put(std::span(data).subspan(1), nonce);
  return static_cast<std::uint32_t>(siphash(secret, data));
}

std::uint32_t mark_of(const LoopSecret& secret, std::uint64_t nonce, const IpPort& upstream) {
  std::array<std::uint8_t, 1 + 8 + 1 + 16 + 2 + 4> data{};
  const std::span all(data);
  data[0] = 'w';
  put(all.subspan(1, 8), nonce);
  data[9] = static_cast<std::uint8_t>(upstream.ip.family);
  std::copy(upstream.ip.bytes.begin(), upstream.ip.bytes.end(), data.begin() + 10);
  put(all.subspan(26, 2), upstream.port);
  put(all.subspan(28, 4), upstream.scope);
  return static_cast<std::uint32_t>(siphash(secret, data));
}

int digit(std::uint8_t octet) {
  if (octet >= '0' && octet <= '9') return octet - '0';
  const int lower = octet | 0x20;  // on its way a resolver may have changed the case (0x20)
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

std::uint64_t siphash(const LoopSecret& key, std::span<const std::uint8_t> data) {
  const std::uint64_t k0 = little_endian(std::span(key).first(8));
  const std::uint64_t k1 = little_endian(std::span(key).last(8));
  std::uint64_t v0 = k0 ^ 0x736f6d6570736575U;
  std::uint64_t v1 = k1 ^ 0x646f72616e646f6dU;
  std::uint64_t v2 = k0 ^ 0x6c7967656e657261U;
  std::uint64_t v3 = k1 ^ 0x7465646279746573U;
  const auto rounds = [&](int n) {
    for (; n > 0; --n) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  };
  const auto absorb = [&](std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  };
  const std::uint64_t length = data.size();
  while (data.size() >= 8) {
    absorb(little_endian(data.first(8)));
    data = data.subspan(8);
  }
  absorb(length << 56 | little_endian(data));
  v2 ^= 0xFF;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

LoopName make_loop_name(const LoopSecret& secret, std::uint64_t nonce, const IpPort& upstream) {
  std::array<std::uint8_t, 16> octets{};
  put(std::span(octets).first(8), nonce);
  put(std::span(octets).subspan(8, 4), proof(secret, nonce));
  put(std::span(octets).subspan(12, 4), mark_of(secret, nonce, upstream));
  LoopName name{};
  name[0] = 32;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    name[1 + 2 * i] = static_cast<std::uint8_t>(kDigits[octets[i] >> 4]);
    name[2 + 2 * i] = static_cast<std::uint8_t>(kDigits[octets[i] & 15]);
  }
  std::copy(kSuffix.begin(), kSuffix.end(), name.begin() + 33);
  return name;
}

bool LoopMark::is_for(const LoopSecret& secret, const IpPort& upstream) const {
  return which == mark_of(secret, nonce, upstream);
}

std::optional<LoopMark> read_loop_name(const LoopSecret& secret, std::span<const std::uint8_t> name) {
  if (name.size() != kLoopNameSize || name[0] != 32) return std::nullopt;
  const std::span suffix(reinterpret_cast<const std::uint8_t*>(kSuffix.data()), kSuffix.size());
  if (!dns::names_equal(name.subspan(33), suffix)) return std::nullopt;
  std::array<std::uint8_t, 16> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const int high = digit(name[1 + 2 * i]);
    const int low = digit(name[2 + 2 * i]);
    if (high < 0 || low < 0) return std::nullopt;
    octets[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  LoopMark mark;
  mark.nonce = little_endian(std::span(octets).first(8));
  if (little_endian(std::span(octets).subspan(8, 4)) != proof(secret, mark.nonce)) return std::nullopt;
  mark.which = static_cast<std::uint32_t>(little_endian(std::span(octets).subspan(12, 4)));
  return mark;
}

}  // namespace har::forward
