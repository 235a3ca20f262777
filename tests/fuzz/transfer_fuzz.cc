// The end of a zone transfer, from messages that are raw or described. Input: one octet of form; raw: a query, then
// messages, each behind two octets of length; described: the records of a transfer and where messages end.
// Holds: what is unclear stays unclear, the last message is the last; in a described transfer the end is where a
// reading of all its records at once sees it (RFC 5936 2.2, RFC 1995 4), wherever the messages are cut and whatever
// else stands in them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/assert.h"
#include "dns/types.h"
#include "upstream/transfer_end.h"

namespace har::upstream {
namespace {

using Octets = std::span<const std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;
using Verdict = TransferEnd::Verdict;

void try_raw(Octets rest) {
  const auto next = [&rest]() -> Octets {
    if (rest.size() < 2) return rest = {};
    const std::size_t wanted = static_cast<std::size_t>(rest[0] << 8 | rest[1]);
    rest = rest.subspan(2);
    const auto piece = rest.first(std::min(wanted, rest.size()));
    rest = rest.subspan(piece.size());
    return piece;
  };
  TransferEnd end(next());
  Verdict last = Verdict::kMore;
  while (!rest.empty() && last != Verdict::kLast) {
    const Verdict verdict = end.take(next());
    HAR_ASSERT(last != Verdict::kUnclear || verdict == Verdict::kUnclear);
    last = verdict;
  }
}

struct Record {
  std::optional<std::uint32_t> serial;  // a SOA; otherwise an address
  bool ends_message = false;
};

void append(Bytes& to, std::size_t value, int octets) {
  for (int i = octets - 1; i >= 0; --i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

Bytes header(bool is_reply, std::size_t questions, std::size_t answers, std::size_t authorities) {
  Bytes out;
  for (const std::size_t word :
       {std::size_t{0x1234}, std::size_t{is_reply ? 0x8400U : 0U}, questions, answers, authorities, std::size_t{0}}) {
    append(out, word, 2);
  }
  return out;
}

void append_question(Bytes& to, bool incremental) {
  to.insert(to.end(), {1, 'z', 0});
  append(to, incremental ? dns::kTypeIxfr : dns::kTypeAxfr, 2);
  append(to, dns::kClassIn, 2);
}

void append_record(Bytes& to, std::optional<std::uint32_t> serial, bool compressed) {
  to.insert(to.end(), {0xC0, 12});  // the question's name, or the first owner's
  append(to, serial ? dns::kTypeSoa : dns::kTypeA, 2);
  append(to, dns::kClassIn, 2);
  append(to, 60, 4);
  if (!serial) {
    append(to, 4, 2);
    return append(to, 0xC000'0201, 4);
  }
  const Bytes name = compressed ? Bytes{0xC0, 12} : Bytes{2, 'n', 's', 0};
  append(to, 2 * name.size() + 20, 2);
  for (int i = 0; i < 2; ++i) to.insert(to.end(), name.begin(), name.end());
  append(to, *serial, 4);
  append(to, 0, 8);
  append(to, 0, 8);
}

// The place of the record that ends the transfer; none: it does not end.
std::optional<std::size_t> last_record(const std::vector<Record>& records, bool incremental) {
  const auto next_soa = [&](std::size_t from) {
    while (from < records.size() && !records[from].serial) ++from;
    return from;
  };
  const auto result = [&](std::size_t at) { return at < records.size() ? std::optional(at) : std::nullopt; };
  if (records.empty()) return std::nullopt;
  if (!records[0].serial) return 0;  // no transfer begins so
  const bool is_whole = !incremental || (records.size() > 1 && !records[1].serial);
  if (is_whole || records.size() < 2 || records[1].serial == records[0].serial) return result(next_soa(1));
  // Differences: old SOA, what goes, new SOA, what comes.
  std::size_t old_soa = 1;
  while (old_soa < records.size()) {
    const std::size_t new_soa = next_soa(old_soa + 1);
    old_soa = next_soa(new_soa + 1);
    if (old_soa < records.size() && records[old_soa].serial == records[0].serial) return old_soa;
  }
  return std::nullopt;
}

void try_described(std::uint8_t form, Octets input) {
  const bool incremental = form % 2 == 1;
  const bool has_question = form % 4 >= 2;  // in every message; else in the first alone
  const std::uint32_t client_serial = form / 8 % 4;
  std::vector<Record> records;
  for (const std::uint8_t octet : input.first(std::min<std::size_t>(input.size(), 300))) {
    Record record;
    if (octet % 4 != 0) record.serial = octet % 4 == 3 ? 0x8000'0000U + octet / 8 % 4 : octet / 8 % 4;
    record.ends_message = octet >= 128;
    records.push_back(record);
  }
  if (records.empty()) return;
  records.back().ends_message = true;

  Bytes query = header(false, 1, 0, incremental ? 1 : 0);
  append_question(query, incremental);
  if (incremental) append_record(query, client_serial, form >= 64);
  TransferEnd end(query);

  std::optional<std::size_t> right = last_record(records, incremental);
  // One SOA alone says that the client is up to date, if its serial is the client's or older.
  const bool is_sole = records[0].ends_message && records[0].serial;
  if (incremental && is_sole && static_cast<std::int32_t>(*records[0].serial - client_serial) <= 0) right = 0;
  for (std::size_t at = 0; at < records.size();) {
    std::size_t next = at;
    while (!records[next].ends_message) ++next;
    ++next;
    const bool asks = at == 0 || has_question;
    Bytes message = header(true, asks ? 1 : 0, next - at, 0);
    if (asks) append_question(message, incremental);
    for (std::size_t i = at; i < next; ++i) {
      append_record(message, records[i].serial, form % 8 >= 4);
      // Without a question the first owner is what the others point to.
      if (i == at && !asks) {
        message.erase(message.begin() + 12, message.begin() + 14);
        const Bytes owner = {1, 'z', 0};
        message.insert(message.begin() + 12, owner.begin(), owner.end());
      }
    }
    const Verdict verdict = end.take(message);
    const bool is_last = right && *right < next;
    HAR_ASSERT(verdict == (is_last ? Verdict::kLast : Verdict::kMore));
    if (is_last) return;
    at = next;
  }
}

}  // namespace
}  // namespace har::upstream

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // What begins like the length of a query is raw.
  if (data[0] == 0) {
    har::upstream::try_raw({data, size});
  } else {
    har::upstream::try_described(data[0], {data + 1, size - 1});
  }
  return 0;
}
