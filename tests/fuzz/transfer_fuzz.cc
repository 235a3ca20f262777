// The end of a zone transfer. The input: a query, then messages, each behind two octets of length.
// Holds: nothing is read out of bounds, and what is unclear stays unclear.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/assert.h"
#include "upstream/transfer_end.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Verdict = har::upstream::TransferEnd::Verdict;
  std::span<const std::uint8_t> rest(data, size);
  const auto next = [&rest]() -> std::span<const std::uint8_t> {
    if (rest.size() < 2) return rest = {};
    const std::size_t wanted = static_cast<std::size_t>(rest[0] << 8 | rest[1]);
    rest = rest.subspan(2);
    const auto piece = rest.first(std::min(wanted, rest.size()));
    rest = rest.subspan(piece.size());
    return piece;
  };
  har::upstream::TransferEnd end(next());
  Verdict last = Verdict::kMore;
  while (!rest.empty() && last != Verdict::kLast) {
    const Verdict verdict = end.take(next());
    HAR_ASSERT(last != Verdict::kUnclear || verdict == Verdict::kUnclear);
    last = verdict;
  }
  return 0;
}
