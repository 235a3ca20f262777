// Unpredictable numbers for message IDs and the choice of sockets: getrandom(2), taken in blocks.
// The kernel's generator and not one of our own: it is a ChaCha20 with key erasure that everybody looks at, it is
// reseeded, and a fork or a restored image of a virtual machine cannot repeat it. A block of 256 octets costs one call
// in some 64 queries, well below a microsecond a query.
// Thread: one owner.  Tested by: random_test.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace har::forward {

class Random {
 public:
  std::uint16_t u16();
  std::uint32_t below(std::uint32_t n);  // 0 … n-1, each alike. Requires: n > 0
  std::uint64_t u64();

 private:
  std::uint8_t u8();

  std::array<std::uint8_t, 256> block_{};  // getrandom() is never interrupted up to 256 octets
  std::size_t used_ = block_.size();
};

}  // namespace har::forward
