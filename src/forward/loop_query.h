// The names of the queries by which an upstream that leads back to ourselves is found: <32 hex digits>.har-loop.invalid
// The digits are eight random octets, four that prove under our key that the query is ours, and four that say under the
// same key to which upstream it was sent. So any worker that knows the key recognises it, whoever sent it.
// Source: SEMANTICS "Forwarding"; the method is dnsmasq's --dns-loop-detect; SipHash-2-4 (Aumasson, Bernstein).
// Thread: any.  Tested by: loop_query_test.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/ip.h"

namespace har::forward {

using LoopSecret = std::array<std::uint8_t, 16>;

inline constexpr std::size_t kLoopNameSize = 1 + 32 + 1 + 8 + 1 + 7 + 1;
using LoopName = std::array<std::uint8_t, kLoopNameSize>;  // wire form

LoopName make_loop_name(const LoopSecret& secret, std::uint64_t nonce, const IpPort& upstream);

// The two keyed halves of a name of ours; none: not ours.
struct LoopMark {
  std::uint64_t nonce = 0;
  std::uint32_t which = 0;
  bool is_for(const LoopSecret& secret, const IpPort& upstream) const;
};
std::optional<LoopMark> read_loop_name(const LoopSecret& secret, std::span<const std::uint8_t> name);

std::uint64_t siphash(const LoopSecret& key, std::span<const std::uint8_t> data);

}  // namespace har::forward
