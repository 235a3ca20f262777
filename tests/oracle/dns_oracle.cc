// Says what src/dns makes of messages, for test_dns_oracle.py to compare with dnspython. One question a line on
// standard input, one answer a line on standard output; octets are hex ("-" for none).
//   query OCTETS                          what parse_query understood
//   reply A|AAAA OCTETS                   what read_addresses understood
//   match QUERY REPLY                     whether reply_matches
//   answer QUERY UDP|TCP RCODE A AAAA SOA EDE TEXT
//                                         a reply to QUERY with A and AAAA records 192.0.2.N and 2001:db8::N, SOA 0 or
//                                         1, EDE a code or -1, TEXT its text as octets
//   wire TEXT / text OCTETS               names
#include <fmt/format.h>

#include <cstdint>
#include <iostream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "dns/addresses.h"
#include "dns/match.h"
#include "dns/name.h"
#include "dns/query.h"
#include "dns/reply.h"

namespace {

using Octets = std::vector<std::uint8_t>;
using namespace har;       // NOLINT: a program of one file
using namespace har::dns;  // NOLINT

Octets from_hex(const std::string& text) {
  Octets octets;
  if (text == "-") return octets;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    octets.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  }
  return octets;
}

std::string to_hex(std::span<const std::uint8_t> octets) {
  if (octets.empty()) return "-";
  std::string text;
  for (const std::uint8_t octet : octets) text += fmt::format("{:02x}", octet);
  return text;
}

std::string describe_query(const Octets& packet) {
  static constexpr const char* kStatus[] = {"ok", "no_query", "other_opcode", "bad_question"};
  const Query q = parse_query(packet);
  return fmt::format(
      "status={} id={} flags={} opcode={} name={} question={} type={} class={} edns={} malformed={} version={} do={} "
      "size={}",
      kStatus[static_cast<int>(q.status)], q.id, q.flags, q.opcode, to_hex(q.name), to_hex(q.question), q.type,
      q.qclass, int{q.edns.present}, int{q.edns.malformed}, q.edns.version, int{q.edns.dnssec_ok}, q.edns.udp_size);
}

std::string describe_reply(const std::string& type, const Octets& packet) {
  static constexpr const char* kStatus[] = {"found", "nodata", "nxdomain", "failed"};
  const Addresses got = read_addresses(packet, type == "A" ? kTypeA : kTypeAaaa);
  std::string text = fmt::format("status={} ttl={} addresses=", kStatus[static_cast<int>(got.status)], got.ttl);
  for (const IpAddress& address : got.addresses) text += address.to_string() + ",";
  return text;
}

std::string answer(std::istringstream& line) {
  std::string octets;
  std::string transport;
  std::string text;
  unsigned rcode = 0;
  unsigned v4 = 0;
  unsigned v6 = 0;
  unsigned soa = 0;
  int ede = -1;
  line >> octets >> transport >> rcode >> v4 >> v6 >> soa >> ede >> text;
  const Octets packet = from_hex(octets);
  const Octets error_text = from_hex(text);
  const Query query = parse_query(packet);
  Octets out(4096);
  Reply reply(query, static_cast<Rcode>(rcode), rcode == 0 ? Reply::kAuthoritative : Reply::kNotAuthoritative,
              transport == "UDP" ? udp_limit(query) : kMaxMessage, out);
  for (unsigned i = 1; i <= v4; ++i) {
    const std::uint8_t address[4] = {192, 0, 2, static_cast<std::uint8_t>(i)};
    reply.add_address(Family::kV4, address, i);
  }
  for (unsigned i = 1; i <= v6; ++i) {
    const std::uint8_t address[16] = {0x20, 1, 0xD, 0xB8, 0, 0, 0, 0,
                                      0,    0, 0,   0,    0, 0, 0, static_cast<std::uint8_t>(i)};
    reply.add_address(Family::kV6, address, i);
  }
  if (soa != 0) reply.add_soa();
  if (ede >= 0) {
    reply.set_error(static_cast<Ede>(ede), {reinterpret_cast<const char*>(error_text.data()), error_text.size()});
  }
  out.resize(reply.finish());
  return to_hex(out);
}

std::string serve(const std::string& text) {
  std::istringstream line(text);
  std::string what;
  std::string first;
  std::string second;
  line >> what;
  if (what == "answer") return answer(line);
  line >> first >> second;
  if (what == "query") return describe_query(from_hex(first));
  if (what == "reply") return describe_reply(first, from_hex(second));
  if (what == "match") return reply_matches(from_hex(first), from_hex(second)) ? "1" : "0";
  if (what == "text") return name_to_text(from_hex(first));
  if (what == "wire") {
    const auto wire = name_to_wire(first);
    return wire ? to_hex(*wire) : "failed";
  }
  return "unknown question";
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) std::cout << serve(line) << '\n';
  return 0;
}
