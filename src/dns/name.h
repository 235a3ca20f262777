// Names: between text and wire form, comparison without regard to case, hashing. No allocation except where a
// std::string or std::vector is returned.
// Source: RFC 1035 3.1, RFC 4343.  Thread: any.  Tested by: name_test.cc, tests/oracle
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/types.h"

namespace har::dns {

// Text to lower-case wire form. Takes a trailing dot or none; letters, digits, '-', '_' and, escaped as \DDD or \X, any
// octet. Fails with a reason for a person: an empty label, a label over 63, a name over 255 octets.
Result<std::vector<std::uint8_t>> name_to_wire(std::string_view text);
// Wire form (uncompressed, whole) to text without a trailing dot ("." for the root); special octets escaped.
std::string name_to_text(std::span<const std::uint8_t> wire);

// Both: uncompressed wire names. Equal without regard to ASCII case.
bool names_equal(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);
// The same for names that differ in case; good in all its bits.
std::uint64_t name_hash(std::span<const std::uint8_t> wire, std::uint64_t seed);

// The length of the uncompressed name at the start of `bytes`, its final zero octet included; 0 if there is none within
// 255 octets, or a compression pointer or reserved label type stands in it.
std::size_t wire_name_size(std::span<const std::uint8_t> bytes);

}  // namespace har::dns
