// Does this reply belong to that query? The rule against forged and stray replies; shared by the forwarder and the
// resolver.
// Source: SEMANTICS "Forwarding"; RFC 5452 section 9.1.
// Thread: any.  Tested by: match_test.cc, tests/fuzz/reply_fuzz.cc
#pragma once

#include <cstdint>
#include <span>

namespace har::dns {

// `query` is what was sent (its ID included), `reply` what came. True when QR is set, ID and opcode are equal, and the
// question is the same: name without regard to case, type, class. For opcodes other than QUERY a reply without question
// counts too. A QUERY reply without a question counts only with FORMERR, SERVFAIL, NOTIMP or REFUSED and no record but
// an OPT: servers that read no further, or refuse a class, send those. It never carries data and is never the good
// reply.
bool reply_matches(std::span<const std::uint8_t> query, std::span<const std::uint8_t> reply);

struct ReplyHead {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::uint8_t rcode = 0;  // the header's four bits
  bool truncated = false;
  std::uint16_t answers = 0;
};
// Requires: reply.size() >= 12.
ReplyHead read_head(std::span<const std::uint8_t> reply);

}  // namespace har::dns
