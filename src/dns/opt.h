// The OPT record of a message that somebody else made.
// Source: RFC 6891 6.1, RFC 7873.  Thread: any.  Tested by: opt_test.cc, query_test.cc, tests/fuzz/decide_fuzz.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "dns/reader.h"

namespace har::dns {

// The options of an OPT of version 0.
struct Options {
  bool malformed = false;                // they do not add up: then nothing else is told
  bool has_cookie = false;               // of any size
  std::span<const std::uint8_t> cookie;  // the first of a right size (cookie.h); else empty
};
Options read_options(std::span<const std::uint8_t> data);

struct FoundOpt {
  RecordHead record;
  bool is_last = false;  // the message ends with it
};
// The first one; none in what is cut before it.
std::optional<FoundOpt> find_opt(std::span<const std::uint8_t> message);

// Whether the reply to a query with a COOKIE gave one with a server's part. `opt`: the reply's.
bool gives_cookie(const FoundOpt& opt);

// Copies `reply`, whose OPT is `opt`, to `out` with one option more: this COOKIE, given back (cookie.h). Returns the
// new size; 0, and nothing is written, where it cannot be added to: the reply does not end with an OPT of version 0,
// has a COOKIE, or would not fit into `out`.
std::size_t add_cookie(std::span<const std::uint8_t> reply, const FoundOpt& opt, std::span<const std::uint8_t> cookie,
                       std::span<std::uint8_t> out);

}  // namespace har::dns
