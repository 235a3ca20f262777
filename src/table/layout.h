// The form of the answer table in memory. Flat and position-independent: offsets, never pointers. The machine's own
// byte order, because it is shared by the processes of one host and never stored.
//
//   0                 Header          fixed once the table is made; its magic number is written last
//   kBeatOffset       one word        the writer's last sign of life, nanoseconds of CLOCK_MONOTONIC; 0: never
//   kNetworkOffset    one word        1: the host has lost its network, so that what stands here may be old; else 0
//   kUpstreamsOffset  block           the upstreams: a sequence word and two versions (block.h)
//   clients_offset    ClientRecord[]  allow_clients, sorted and disjoint: a binary search finds the one that may match
//   index_offset      u64[]           open addressing, linear probing, load at most 1/2: the upper half of the hash of
//                                     the name above slot + 1; 0 is an empty place
//   slots_offset      slot[]          kSlotSize octets each: a sequence word, the name's place, two versions (slot.h)
//   names_offset      octets          the names' wire forms, lower case
//
// Every part begins on a cache line. A change of anything here needs a new kLayoutVersion, but for a flag that the
// version before may leave alone. Thread: any.  Tested by: table_test.cc, tests/fuzz/table_fuzz.cc
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/result.h"
#include "table/content.h"

namespace har::table {

// A word of the parts that change. On every machine that we build for it has the size and form of the plain number.
using Word = std::atomic<std::uint64_t>;
static_assert(sizeof(Word) == 8 && Word::is_always_lock_free);

inline constexpr std::uint64_t kMagic = 0x1A656C6261743A68;  // "h:table" and a control-Z, as little-endian octets
inline constexpr std::uint32_t kLayoutVersion = 2;
inline constexpr std::size_t kCacheLine = 64;

struct Header {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t slot_count = 0;
  std::uint64_t total_size = 0;
  std::uint64_t generation = 0;
  std::uint64_t hash_seed = 0;
  std::uint32_t index_size = 0;     // places, a power of two
  std::uint32_t longest_probe = 0;  // no name stands farther than this many places from where its hash points
  std::uint64_t clients_offset = 0;
  std::uint64_t index_offset = 0;
  std::uint64_t slots_offset = 0;
  std::uint64_t names_offset = 0;
  std::uint64_t names_size = 0;
  std::uint32_t client_count = 0;
  std::uint32_t flags = 0;  // what a reader does not know it leaves alone
  Limits limits;
};
static_assert(std::is_trivially_copyable_v<Header> && std::is_standard_layout_v<Header>);

inline constexpr std::uint32_t kFlagOwnClients = 1;  // in Header::flags

struct ClientRecord {
  std::uint8_t ip[16];
  std::uint8_t family;  // 4 or 6
  std::uint8_t length;
  std::uint8_t reserved[6];
};
static_assert(sizeof(ClientRecord) == 24);

inline constexpr std::size_t kBeatOffset = 192;
static_assert(sizeof(Header) <= kBeatOffset);
inline constexpr std::size_t kNetworkOffset = kBeatOffset + sizeof(Word);  // on the beat's line: read with it
inline constexpr std::size_t kUpstreamsOffset = 256;
inline constexpr std::size_t kUpstreamsSize = 832;  // (1 + 2 * kUpstreamWords) words, in whole cache lines
inline constexpr std::size_t kFixedSize = kUpstreamsOffset + kUpstreamsSize;

// Seven cache lines. With the index (16 to 32 octets a name) and the name itself: about 512 octets a name.
inline constexpr std::size_t kSlotSize = 448;

// The second word of a slot: where its name stands, and what is fixed for it.
struct SlotName {
  std::uint32_t offset = 0;  // from names_offset
  std::uint16_t size = 0;
  std::uint16_t flags = 0;
};
static_assert(sizeof(SlotName) == 8);
inline constexpr std::size_t kSlotNameOffset = 8;
inline constexpr std::uint16_t kFlagHttpsForward = 1;

// More names than anybody has, and few enough that no size below overflows.
inline constexpr std::uint32_t kMaxSlots = 1u << 22;
inline constexpr std::uint32_t kMaxClients = 1u << 20;

constexpr std::size_t whole_lines(std::size_t size) { return (size + kCacheLine - 1) / kCacheLine * kCacheLine; }

template <class T>
T load_plain(const std::byte* at) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline Word* word_at(std::byte* at) { return reinterpret_cast<Word*>(at); }
inline const Word* word_at(const std::byte* at) { return reinterpret_cast<const Word*>(at); }

inline bool is_inside(std::uint64_t offset, std::uint64_t size, std::uint64_t whole) {
  return offset <= whole && size <= whole - offset;
}

// A copy of the header in which every offset, size and name has been checked against memory.size(): what is reached
// through it is inside the memory. Fails with the reason. `memory` may hold anything.
Result<Header> check_layout(std::span<const std::byte> memory);

}  // namespace har::table
