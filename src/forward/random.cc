#include "forward/random.h"

#include <sys/random.h>

#include <cerrno>

#include "base/assert.h"

namespace har::forward {

std::uint8_t Random::u8() {
  if (used_ == block_.size()) {
    ssize_t got = 0;
    do {
      got = getrandom(block_.data(), block_.size(), 0);
    } while (got < 0 && errno == EINTR);  // only while the kernel's pool is not ready, early at boot
    HAR_ASSERT(got == static_cast<ssize_t>(block_.size()));
    used_ = 0;
  }
  const std::uint8_t value = block_[used_];
  block_[used_++] = 0;  // what was used must not be found in memory later
  return value;
}

std::uint16_t Random::u16() {
  const unsigned high = u8();
  return static_cast<std::uint16_t>(high << 8 | u8());
}

std::uint64_t Random::u64() {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | u8();
  return value;
}

std::uint32_t Random::below(std::uint32_t n) {
  HAR_ASSERT(n > 0);
  if (n <= 256 && 256 % n == 0) return u8() % n;  // the ordinary 64 sockets: one octet
  // Of 64 random bits the remainder favours no value by more than n in 2^64.
  return static_cast<std::uint32_t>(u64() % n);
}

}  // namespace har::forward
