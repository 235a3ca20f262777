// The whole border between i/o and DNS: one packet and the table in, what to do with it out. The same functions serve
// UDP, TCP, the fuzzers and the benchmark. Pure: no clock, no socket, no allocation.
// Source: SEMANTICS "Answering"; RFC 1035, 6891 (EDNS), 8914 (EDE), 9619 (QDCOUNT), 8482 (ANY), 2308 (NODATA).
// Thread: any; the mutable state (Turns) belongs to one worker.
// Tested by: answer_test.cc, finish_test.cc, pick_test.cc, no_allocation_test.cc, tests/fuzz/decide_fuzz.cc
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/time.h"
#include "table/reader.h"

namespace har::answer {

enum class Transport : std::uint8_t { kUdp, kTcp };
enum class Verdict : std::uint8_t { kReply, kForward, kDrop };

// What must be remembered with a forwarded query, to treat the upstream's reply rightly.
enum class Rule : std::uint8_t {
  kPass,        // nothing: the reply goes back as it came, but for the ID (and a COOKIE: finish())
  kNameExists,  // a configured name, class IN, opcode QUERY: NXDOMAIN without answers becomes our NODATA
  kNotReady,    // A, AAAA or ANY of a name without any known address: a negative answer becomes SERVFAIL with EDE 14
};

// One worker's turns and dice, for one table: a cell for each of its slots and families. No two workers share one.
class Turns {
 public:
  explicit Turns(std::uint64_t seed, std::uint32_t slots);
  std::uint32_t next_turn(std::uint32_t slot, Family family);
  std::uint32_t random(std::uint32_t below);  // requires: below > 0

 private:
  std::uint64_t state_;
  std::vector<std::uint16_t> turns_;
};

struct Decision {
  Verdict verdict = Verdict::kDrop;
  std::uint16_t reply_size = 0;         // kReply: octets written to `out`
  Rule rule = Rule::kPass;              // kForward
  std::uint32_t slot = table::kNoSlot;  // the configured name that the query was for, if any
  bool zone_transfer = false;           // kForward: AXFR or IXFR: over TCP it gets an upstream connection of its own
  bool formerr = false;                 // kReply: for the counters
};

// `cookies_seen`, here and below: a client has been given an upstream's COOKIE, as finish() tells. Then a client's part
// alone gets one with a server's part as well (dns/cookie.h).

// Requires: out.size() >= 4096. Never reads beyond `packet`, never writes beyond `out`.
Decision decide(std::span<const std::uint8_t> packet, Transport transport, const table::Reader& table, Turns& turns,
                Instant now, std::span<std::uint8_t> out, bool cookies_seen = false);

// Of a batch of packets, before the first is decided: begins to bring into the cache what decide() will look at, where
// the table is large. Returns the slots that are probably asked for, with kNoSlot among them, in `room`; none for a
// small table. Promises nothing, changes nothing. Requires: packets.size() <= Reader::kMostAhead <= room.size().
std::span<const std::uint32_t> prefetch(std::span<const std::span<const std::uint8_t>> packets,
                                        const table::Reader& table, std::span<std::uint32_t> room);

// What the client gets for the upstream's reply to a forwarded query. Returns 0 when the reply passes as it is,
// otherwise the size of the reply written to `out` (>= 4096): one with the client's own ID, made from the client's
// `query`; or, over UDP, the upstream's with the COOKIE of `query` given back where it has none. Sets `cookies_seen`
// where it has one.
std::size_t finish(Rule rule, std::span<const std::uint8_t> query, Transport transport,
                   std::span<const std::uint8_t> reply, std::span<std::uint8_t> out, bool& cookies_seen);

// A SERVFAIL of our own to `query`, with an Extended DNS Error where the client sent EDNS; returns its size.
// For opcodes other than QUERY and unparsable questions: header only. 0, nothing, for what has QR set.
// Requires: query.size() >= 12; out.size() >= 512.
enum class Failure : std::uint8_t { kNoUpstream /* EDE 22 */, kNotReady /* EDE 14 */, kOverload /* EDE 0, text */ };
std::size_t servfail(std::span<const std::uint8_t> query, Transport transport, Failure why, std::span<std::uint8_t> out,
                     bool cookies_seen = false);

}  // namespace har::answer
