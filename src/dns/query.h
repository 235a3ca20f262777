// Reads a client's query without copying: header, question, EDNS.
// Source: RFC 1035 4.1, RFC 6891 6.1, RFC 7873 4, RFC 9619.  Thread: any.  Tested by: query_test.cc,
// tests/fuzz/query_fuzz.cc
#pragma once

#include <cstdint>
#include <span>

#include "dns/types.h"

namespace har::dns {

struct Edns {
  bool present = false;
  bool malformed = false;  // a second OPT, one outside the additional section, an owner that is not the root, options
                           // of version 0 that do not add up, records that cannot be read (then without `present`,
                           // unless an OPT came before)
  std::uint8_t version = 0;
  bool dnssec_ok = false;      // DO
  std::uint16_t udp_size = 0;  // as advertised
  // The COOKIE option (RFC 7873), inside the packet: 8 octets, or 16 to 40 with a server's part; else empty.
  std::span<const std::uint8_t> cookie;
};

struct Query {
  enum class Status : std::uint8_t {
    kOk,           // opcode QUERY, one question that was read whole
    kNoQuery,      // shorter than a header, or QR set: drop
    kOtherOpcode,  // not QUERY: only the header was read
    kBadQuestion,  // more than one question (or none), or one that cannot be read: FORMERR
  };
  Status status = Status::kNoQuery;
  std::uint16_t id = 0;
  std::uint16_t flags = 0;  // the header's second word
  std::uint8_t opcode = 0;
  std::span<const std::uint8_t> name;      // wire form inside the packet, case kept
  std::span<const std::uint8_t> question;  // name, type and class
  std::uint16_t type = 0;
  std::uint16_t qclass = 0;
  // From all sections, with kOk and, where the questions can be skipped, with kBadQuestion. Octets behind the last
  // record are ignored.
  Edns edns;
};

Query parse_query(std::span<const std::uint8_t> packet);

}  // namespace har::dns
