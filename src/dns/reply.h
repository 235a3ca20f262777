// Builds a reply of our own to a query: header and question from the query, address records, the SOA of a negative
// answer, EDNS with an extended error. Writes into the caller's memory, allocates nothing.
// Not for: deciding what the answer is (answer/answer.h), forwarded replies (they pass, but for what answer::finish()
// does).
//
//   Reply reply(query, kNoError, Reply::kAuthoritative, udp_limit(query), out);
//   reply.add_address(Family::kV4, address.data(), ttl);
//   reply.set_error(kEdeOther, "no candidate is up");   // shown only to a client that sent EDNS
//   return reply.finish();
//
// The query's COOKIE goes back (cookie.h).
// What does not fit: an address or SOA record sets TC, and that record and all later ones are left out; the text of the
// extended error, then the error itself, go without TC (RFC 8914 3). Room for OPT is kept from the start.
// Source: SEMANTICS "Answering" 1, 2, 7; RFC 1035 4.1, 2308 3, 6891 6.1.3, 7873 5.3, 8914.
// Thread: any.  Tested by: reply_test.cc, tests/fuzz/query_fuzz.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/ip.h"
#include "dns/query.h"
#include "dns/types.h"
#include "dns/writer.h"

namespace har::dns {

// The largest reply that may go to this client over UDP: 512, or what it advertised between 512 and 1232.
// Over TCP it is kMaxMessage.
std::size_t udp_limit(const Query& query);

class Reply {
 public:
  enum Authority : std::uint8_t { kNotAuthoritative, kAuthoritative };  // AA: set on answers for configured names

  // Starts the reply. QR and RA set, opcode, RD and CD copied, AD, Z and TC clear. The question is echoed byte for byte
  // when it was read (query.question is not empty), else QDCOUNT is 0. OPT is in the reply if and only if the query had
  // one: so also in FORMERR for a malformed OPT (RFC 6891 7), with DO copied.
  // Requires: query.status != kNoQuery; out.size() >= 512 (`limit` is lowered to out.size(), raised to 512); the
  // packet behind `query` stays until finish() and does not overlap `out`; an rcode over 15 only with
  // query.edns.present.
  Reply(const Query& query, Rcode rcode, Authority authority, std::size_t limit, std::span<std::uint8_t> out);

  // An A or AAAA record, owner the question's name. `octets`: 4 or 16, network order. Requires: a question was echoed.
  void add_address(Family family, const std::uint8_t* octets, std::uint32_t ttl);

  // The SOA of NODATA in the authority section, TTL and MINIMUM both `ttl`. The owner and MNAME are the question's name
  // without its first `skip` octets (0: the whole; else the start of one of its labels, for _443._https.NAME and the
  // like), RNAME is hostmaster under it. No address may be added after it. Requires: a question was echoed.
  void add_soa(std::uint32_t ttl = 1, std::size_t skip = 0);

  // Extended DNS Error, written by finish() if the query had EDNS. One a reply: the last call counts. `text` is
  // borrowed until finish().
  void set_error(Ede code, std::string_view text = {});

  bool truncated() const { return truncated_; }

  // Completes counts, flags and OPT; returns the reply's size, at most `limit`. Call once, last.
  std::size_t finish();

 private:
  void keep_or_drop(std::size_t start, std::uint16_t& count);
  std::size_t cookie_size() const;  // of the option
  void write_opt();

  Writer writer_;
  std::size_t limit_;
  std::size_t name_size_;
  std::uint16_t flags_;
  std::uint16_t rcode_;
  std::uint16_t questions_ = 0;
  std::uint16_t answers_ = 0;
  std::uint16_t authorities_ = 0;
  std::uint16_t error_code_ = 0;
  bool has_error_ = false;
  bool opt_;
  bool dnssec_ok_;
  bool truncated_ = false;
  std::span<const std::uint8_t> cookie_;
  std::string_view error_text_;
};

}  // namespace har::dns
