// An upstream's packet: dns::read_addresses, dns::reply_matches and the names in it.
// Holds: addresses are there if and only if the status says so, without duplicates, of the right family, within the
// limit; a limit of one gives the smallest of them and the same of the rest, octets behind the message change nothing;
// a reply matches the query with its own question and no other; whatever a name's pointers, it is read within 255
// octets, and reading and skipping it end at the same place.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/assert.h"
#include "dns/addresses.h"
#include "dns/match.h"
#include "dns/name.h"
#include "dns/reader.h"
#include "dns/types.h"

namespace har::dns {
namespace {

using Octets = std::span<const std::uint8_t>;

void check_addresses(Octets reply, std::uint16_t type, std::size_t limit) {
  const Addresses got = read_addresses(reply, type, limit);
  const bool found = got.status == Addresses::Status::kFound;
  HAR_ASSERT(found == !got.addresses.empty());
  HAR_ASSERT(got.addresses.size() <= limit);
  HAR_ASSERT(got.ttl <= 0x7FFF'FFFF);
  if (got.status == Addresses::Status::kFailed) HAR_ASSERT(got.ttl == 0);
  const Family family = type == kTypeA ? Family::kV4 : Family::kV6;
  for (auto a = got.addresses.begin(); a != got.addresses.end(); ++a) {
    HAR_ASSERT(a->family == family);
    HAR_ASSERT(std::find(got.addresses.begin(), a, *a) == a);
  }
  if (found) HAR_ASSERT(reply.size() >= kHeaderSize && (reply[3] & 0xF) == 0 && (reply[2] & 2) == 0);
}

// What must not change what is read.
void check_reading(Octets reply, std::uint16_t type) {
  const Addresses all = read_addresses(reply, type, 64);
  const Addresses one = read_addresses(reply, type, 1);
  HAR_ASSERT(one.status == all.status && one.ttl == all.ttl && one.addresses.size() <= all.addresses.size());
  const auto smallest = std::min_element(all.addresses.begin(), all.addresses.end());
  HAR_ASSERT(one.addresses.empty() == all.addresses.empty());
  if (!one.addresses.empty()) HAR_ASSERT(one.addresses[0] == *smallest);
  if (all.status == Addresses::Status::kFailed) return;
  std::vector<std::uint8_t> longer(reply.begin(), reply.end());
  longer.resize(longer.size() + 16, 0xC0);
  const Addresses behind = read_addresses(longer, type, 64);
  HAR_ASSERT(behind.status == all.status && behind.ttl == all.ttl && behind.addresses == all.addresses);
}

void check_match(Octets reply) {
  if (reply.size() < kHeaderSize) return;
  Reader reader(reply, kHeaderSize);
  const Octets name = reader.plain_name();
  reader.u32();
  const std::size_t end = reader.failed() ? kHeaderSize : reader.position();
  std::vector<std::uint8_t> query(reply.begin(), reply.begin() + static_cast<std::ptrdiff_t>(end));
  query[2] &= 0x7F;  // a query with the reply's own question
  const bool matches = reply_matches(query, reply);
  if ((reply[2] & 0x80) == 0) HAR_ASSERT(!matches);
  const bool one_question = reply[4] == 0 && reply[5] == 1;
  if ((reply[2] & 0x80) != 0 && one_question) HAR_ASSERT(matches == !reader.failed());
  if (matches && one_question && name.size() > 1) {
    query[kHeaderSize + 1] ^= 0x81;  // another octet, in no case the same letter
    HAR_ASSERT(!reply_matches(query, reply));
    query[kHeaderSize + 1] ^= 0x81;
  }
  query[1] ^= 1;
  HAR_ASSERT(!reply_matches(query, reply));
}

void check_names(Octets reply) {
  const std::size_t end = std::min<std::size_t>(reply.size(), 512);
  for (std::size_t at = 0; at < end; ++at) {
    Reader reader(reply, at);
    WireName name;
    reader.expand_name(name);
    Reader skipper(reply, at);
    skipper.skip_name();
    if (reader.failed()) {
      HAR_ASSERT(name.size == 0);
      continue;
    }
    HAR_ASSERT(wire_name_size(name.span()) == name.size);
    HAR_ASSERT(!skipper.failed() && skipper.position() == reader.position());
    Reader plain(reply, at);
    const Octets octets = plain.plain_name();
    if (!plain.failed()) HAR_ASSERT(std::equal(octets.begin(), octets.end(), name.span().begin(), name.span().end()));
  }
}

}  // namespace
}  // namespace har::dns

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace har::dns;
  const std::span reply(data, size);
  for (const std::uint16_t type : {kTypeA, kTypeAaaa}) {
    for (const std::size_t limit : {std::size_t{1}, std::size_t{64}}) check_addresses(reply, type, limit);
    check_reading(reply, type);
  }
  check_match(reply);
  check_names(reply);
  return 0;
}
