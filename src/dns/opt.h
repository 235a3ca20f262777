// The OPT record of a message that somebody else made.
// Source: RFC 6891 6.1, RFC 7873.  Thread: any.  Tested by: opt_test.cc, tests/fuzz/decide_fuzz.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "dns/reader.h"

namespace har::dns {

struct FoundOpt {
  RecordHead record;
  bool is_last = false;  // the message ends with it
};
std::optional<FoundOpt> find_opt(
    std::span<const std::uint8_t> message);  // the first one; none in what is cut before it

// Whether the reply to a query with a COOKIE gave one with a server's part.
bool gives_cookie(std::span<const std::uint8_t> reply);

// Copies `reply` to `out` with one option more: this COOKIE, given back (cookie.h). Returns the new size; 0, and
// nothing is written, where it cannot be added to: the reply does not end with an OPT of version 0, has a COOKIE, or
// would not fit into `out`.
std::size_t add_cookie(std::span<const std::uint8_t> reply, std::span<const std::uint8_t> cookie,
                       std::span<std::uint8_t> out);

}  // namespace har::dns
