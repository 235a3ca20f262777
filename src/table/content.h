// What one slot of the answer table says: everything that is needed to answer A and AAAA of one name at once.
// A value; the shared-memory form of it is layout.h. Written by the checker from a ranking, read by the answerer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/ip.h"

namespace har::table {

inline constexpr std::size_t kMaxAddresses = 8;
inline constexpr std::size_t kMaxUpstreams = 16;

enum class Kind : std::uint8_t {
  kNodata,           // NOERROR without answers, with our SOA
  kAddresses,        // the addresses below
  kForward,          // ask the upstream (failure_mode = forward)
  kForwardNotReady,  // no address is known yet: ask the upstream; its negative answer becomes SERVFAIL with EDE 14
  kServfail,
};

enum class Order : std::uint8_t {
  kFirst,     // as they stand, the first answer_count of them
  kInTurn,    // the first `group` take turns, query by query; those behind the group fill up
  kRandom,    // the first `group` in random order
  kWeighted,  // the first `group`, drawn without replacement in proportion to their weights
};

// Which Extended DNS Error goes with the answer (RFC 8914), where the client sent EDNS.
enum class Note : std::uint8_t {
  kNone,
  kFailureMode,  // 0 (Other), "no candidate is up"
  kNotReady,     // 14 (Not Ready)
};

struct FamilyAnswer {
  Kind kind = Kind::kForwardNotReady;
  Order order = Order::kFirst;
  std::uint8_t count = 0;         // addresses used, at most kMaxAddresses
  std::uint8_t group = 0;         // the first `group` addresses are equals for `order`; at most count
  std::uint8_t answer_count = 1;  // how many of them one answer carries
  std::array<std::array<std::uint8_t, 16>, kMaxAddresses> addresses{};  // network order; IPv4 in the first four bytes
  std::array<std::uint16_t, kMaxAddresses> weights{};                   // for kWeighted; 0 is never drawn first
  bool operator==(const FamilyAnswer&) const = default;
};

struct SlotContent {
  FamilyAnswer v4;
  FamilyAnswer v6;
  std::uint32_t ttl = 0;  // seconds, already lowered for failure modes and unknown endpoints
  Note note = Note::kNone;
  bool operator==(const SlotContent&) const = default;
};

// Fixed for the life of a table: what the answerer needs beside the slots. It parses no configuration.
struct Limits {
  std::uint32_t max_in_flight = 16'384;
  std::uint32_t tcp_max_connections = 12'000;
  std::uint32_t tcp_max_in_flight = 128;
  std::uint64_t tcp_idle_timeout_ns = 10'000'000'000;
  std::uint64_t resolver_timeout_ns = 1'000'000'000;
  std::uint64_t state_max_age_ns = 3'600'000'000'000;
};

}  // namespace har::table
