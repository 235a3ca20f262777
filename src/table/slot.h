// Between values and the words of a block: slot contents and the list of upstreams. Only the words that a value needs
// are stored and loaded. Decoding takes any words: what makes no sense becomes something harmless.
//
// A slot's words, and where they stand in its seven cache lines:
//
//   line 0   sequence | name | version 0: ttl and note, both heads, IPv4 addresses     an A query reads this line or
//   ... line 1                     version 1: the same                                      ... the first and this one
//   line 2-6 version 0: IPv4 weights, IPv6 weights, IPv6 addresses; version 1: the same
//
// Thread: any.  Tested by: table_test.cc
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/ip.h"
#include "table/block.h"
#include "table/content.h"
#include "table/layout.h"

namespace har::table {

inline constexpr std::size_t kTtlWord = 0;    // ttl below, note in the upper half
inline constexpr std::size_t kHeadsWord = 1;  // IPv4 head in the lower half, IPv6 head in the upper
inline constexpr std::size_t kV4Word = 2;     // 4 words: two addresses each
inline constexpr std::size_t kNearWords = 6;
inline constexpr std::size_t kV4WeightsWord = 6;  // 2 words: four weights each
inline constexpr std::size_t kV6WeightsWord = 8;
inline constexpr std::size_t kV6Word = 10;  // 16 words: two for each address
inline constexpr std::size_t kSlotWords = 26;
inline constexpr std::size_t kFarOffset = 2 * kCacheLine;
inline constexpr std::size_t kFarSize = (kSlotWords - kNearWords) * sizeof(Word);
static_assert(kFarOffset + 2 * kFarSize == kSlotSize);

template <class Byte>
auto slot_block(Byte* slot) {
  using W = std::remove_pointer_t<decltype(word_at(slot))>;
  return Block<W>{word_at(slot),
                  {word_at(slot + 16), word_at(slot + kCacheLine)},
                  {word_at(slot + kFarOffset), word_at(slot + kFarOffset + kFarSize)},
                  kNearWords};
}

constexpr std::size_t weight_words(std::size_t count) { return (count + 3) / 4; }

// One family's head: kind and order share an octet, then count, group and answer_count.
inline std::uint32_t encode_head(const FamilyAnswer& answer) {
  return static_cast<std::uint32_t>(answer.kind) | static_cast<std::uint32_t>(answer.order) << 4 |
         static_cast<std::uint32_t>(answer.count) << 8 | static_cast<std::uint32_t>(answer.group) << 16 |
         static_cast<std::uint32_t>(answer.answer_count) << 24;
}

inline void decode_head(std::uint32_t head, FamilyAnswer& out) {
  const std::uint32_t kind = head & 0xF;
  const std::uint32_t order = (head >> 4) & 0xF;
  const auto octet = [head](int shift) { return static_cast<std::uint8_t>(head >> shift); };
  out.kind = kind <= static_cast<std::uint32_t>(Kind::kServfail) ? static_cast<Kind>(kind) : Kind::kServfail;
  out.order = order <= static_cast<std::uint32_t>(Order::kWeighted) ? static_cast<Order>(order) : Order::kFirst;
  out.count = std::min<std::uint8_t>(octet(8), kMaxAddresses);
  out.group = std::min(octet(16), out.count);
  out.answer_count = octet(24);
}

template <class Put>
void encode_weights(const FamilyAnswer& answer, std::size_t first_word, Put& put) {
  if (answer.order != Order::kWeighted) return;
  for (std::size_t w = 0; w < weight_words(answer.count); ++w) {
    std::uint64_t word = 0;
    std::memcpy(&word, answer.weights.data() + w * 4, sizeof word);
    put(first_word + w, word);
  }
}

template <class Put>
void encode_slot(const SlotContent& content, Put put) {
  put(kTtlWord, content.ttl | static_cast<std::uint64_t>(content.note) << 32);
  put(kHeadsWord, encode_head(content.v4) | static_cast<std::uint64_t>(encode_head(content.v6)) << 32);
  for (std::size_t i = 0; i < content.v4.count; i += 2) {
    std::uint64_t word = 0;
    std::memcpy(&word, content.v4.addresses[i].data(), 4);
    if (i + 1 < content.v4.count) {
      std::memcpy(reinterpret_cast<std::byte*>(&word) + 4, content.v4.addresses[i + 1].data(), 4);
    }
    put(kV4Word + i / 2, word);
  }
  encode_weights(content.v4, kV4WeightsWord, put);
  encode_weights(content.v6, kV6WeightsWord, put);
  for (std::size_t i = 0; i < content.v6.count; ++i) {
    std::array<std::uint64_t, 2> words;
    std::memcpy(words.data(), content.v6.addresses[i].data(), 16);
    put(kV6Word + 2 * i, words[0]);
    put(kV6Word + 2 * i + 1, words[1]);
  }
}

template <class Get>
void decode_family(Family family, FamilyAnswer& out, Get get) {
  const std::uint64_t heads = get(kHeadsWord);
  decode_head(static_cast<std::uint32_t>(family == Family::kV4 ? heads : heads >> 32), out);
  if (family == Family::kV4) {
    for (std::size_t i = 0; i < out.count; i += 2) {
      const std::uint64_t word = get(kV4Word + i / 2);
      std::memcpy(out.addresses[i].data(), &word, 4);
      std::memcpy(out.addresses[i + 1].data(), reinterpret_cast<const std::byte*>(&word) + 4, 4);  // i + 1 <= 7
    }
  } else {
    for (std::size_t i = 0; i < out.count; ++i) {
      const std::array<std::uint64_t, 2> words{get(kV6Word + 2 * i), get(kV6Word + 2 * i + 1)};
      std::memcpy(out.addresses[i].data(), words.data(), 16);
    }
  }
  if (out.order != Order::kWeighted) return;
  const std::size_t first = family == Family::kV4 ? kV4WeightsWord : kV6WeightsWord;
  for (std::size_t w = 0; w < weight_words(out.count); ++w) {
    const std::uint64_t word = get(first + w);
    std::memcpy(out.weights.data() + w * 4, &word, sizeof word);
  }
}

inline Note decode_note(std::uint64_t ttl_word) {
  const std::uint64_t note = ttl_word >> 32;
  return note <= static_cast<std::uint64_t>(Note::kNotReady) ? static_cast<Note>(note) : Note::kNone;
}

// The upstreams: a word with their count, then three words each: family, port and scope; 16 octets of address.
inline constexpr std::size_t kUpstreamWords = 1 + 3 * kMaxUpstreams;
static_assert((1 + 2 * kUpstreamWords) * sizeof(Word) <= kUpstreamsSize);

template <class Byte>
auto upstreams_block(Byte* table) {
  using W = std::remove_pointer_t<decltype(word_at(table))>;
  auto* const first = word_at(table + kUpstreamsOffset);
  return Block<W>{first, {first + 1, first + 1 + kUpstreamWords}, {nullptr, nullptr}, kUpstreamWords};
}

template <class Put>
void encode_upstreams(std::span<const IpPort> upstreams, Put put) {
  put(0, upstreams.size());
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    const IpPort& from = upstreams[i];
    std::array<std::uint64_t, 2> ip;
    std::memcpy(ip.data(), from.ip.bytes.data(), 16);
    put(1 + 3 * i, static_cast<std::uint64_t>(from.ip.family) | static_cast<std::uint64_t>(from.port) << 16 |
                       static_cast<std::uint64_t>(from.scope) << 32);
    put(2 + 3 * i, ip[0]);
    put(3 + 3 * i, ip[1]);
  }
}

}  // namespace har::table
