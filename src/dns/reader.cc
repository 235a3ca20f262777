#include "dns/reader.h"

#include <algorithm>

namespace har::dns {

namespace {

constexpr std::uint8_t kKindMask = 0xC0;
constexpr std::uint8_t kPointer = 0xC0;
constexpr std::size_t kMaxSteps = 256;  // labels and pointers of one name; 127 labels are the most that fit

}  // namespace

void Reader::skip_name() {
  std::size_t size = 0;  // uncompressed octets so far
  for (std::size_t step = 0; step < kMaxSteps; ++step) {
    const std::uint8_t length = u8();
    if (failed_) return;
    if (length == 0) return;
    if ((length & kKindMask) == kPointer) {
      u8();
      return;
    }
    size += std::size_t{1} + length;
    if ((length & kKindMask) != 0 || size >= kMaxNameSize) break;
    bytes(length);
  }
  failed_ = true;
}

void Reader::expand_name(WireName& name) {
  name.size = 0;
  if (failed_) return;
  std::size_t at = position_;      // where we read
  std::size_t lowest = position_;  // a pointer must lead before this
  bool followed = false;           // position_ is already past the name's first pointer
  std::size_t size = 0;
  for (std::size_t step = 0; step < kMaxSteps && at < message_.size(); ++step) {
    const std::uint8_t length = message_[at];
    if ((length & kKindMask) == kPointer) {
      if (message_.size() - at < 2) break;
      const std::size_t target = static_cast<std::size_t>(length & ~kKindMask) << 8 | message_[at + 1];
      if (!followed) position_ = at + 2;
      followed = true;
      if (target >= lowest) break;
      at = lowest = target;
      continue;
    }
    const std::size_t whole = std::size_t{1} + length;
    if ((length & kKindMask) != 0 || whole > kMaxNameSize - size || whole > message_.size() - at) break;
    std::copy_n(message_.begin() + static_cast<std::ptrdiff_t>(at), whole,
                name.octets.begin() + static_cast<std::ptrdiff_t>(size));
    size += whole;
    at += whole;
    if (length == 0) {
      if (!followed) position_ = at;
      name.size = size;
      return;
    }
  }
  failed_ = true;
}

}  // namespace har::dns
