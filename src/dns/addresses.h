// The addresses that a reply gives for the name that was asked, CNAMEs followed inside the reply.
// Source: RFC 1034 3.6.2, RFC 2308, RFC 8767 (TTL as unsigned, the sign bit means 0: RFC 2181 8).
// Thread: any.  Tested by: addresses_test.cc, tests/fuzz/reply_fuzz.cc
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ip.h"

namespace har::dns {

struct Addresses {
  enum class Status : std::uint8_t {
    kFound,   // at least one address
    kNoData,  // NOERROR, no address of that type at the end of the chain
    kNxDomain,
    kFailed,  // another rcode, truncated, a malformed message, a CNAME loop or chain over 16, a referral (no address,
              // NS without SOA in the authority section: RFC 2308 2.2), NXDOMAIN beside an address
  };
  Status status = Status::kFailed;
  std::vector<IpAddress> addresses;  // in the reply's order, without duplicates; of more than `limit` the smallest
  std::uint32_t ttl = 0;             // seconds: the smallest of the chain; for negatives of the chain's CNAMEs and the
                                     // SOA's min(TTL, MINIMUM), 0 without a SOA
};

// Requires: the reply matched the query (match.h). `type`: A or AAAA.
Addresses read_addresses(std::span<const std::uint8_t> reply, std::uint16_t type, std::size_t limit = 64);

// Writes a query of our own (RD set, one question, no EDNS); returns its size. `name`: wire form.
// Requires: out.size() >= 12 + 255 + 4.
std::size_t write_query(std::uint16_t id, std::span<const std::uint8_t> name, std::uint16_t type,
                        std::span<std::uint8_t> out);

}  // namespace har::dns
