// Writes big-endian fields into borrowed memory and never past its limit. The first field that does not fit makes the
// writer fail, and it stays failed: write on, check once. A caller that can do without a record takes a mark() first
// and goes back to it.
// Thread: any.  Tested by: reply_test.cc
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/assert.h"

namespace har::dns {

class Writer {
 public:
  explicit Writer(std::span<std::uint8_t> out) : out_(out), limit_(out.size()) {}

  void u8(std::uint8_t value) {
    if (std::uint8_t* at = take(1)) at[0] = value;
  }
  void u16(std::uint16_t value) {
    if (std::uint8_t* at = take(2)) store_u16(at, value);
  }
  void u32(std::uint32_t value) {
    if (std::uint8_t* at = take(4)) {
      store_u16(at, static_cast<std::uint16_t>(value >> 16));
      store_u16(at + 2, static_cast<std::uint16_t>(value));
    }
  }
  void bytes(std::span<const std::uint8_t> value) {
    if (std::uint8_t* at = take(value.size())) std::copy(value.begin(), value.end(), at);
  }
  void text(std::string_view value) {
    if (std::uint8_t* at = take(value.size())) std::copy(value.begin(), value.end(), at);
  }

  // Overwrites what is already written. Requires: position + 2 <= size().
  void patch_u16(std::size_t position, std::uint16_t value) {
    HAR_ASSERT(position <= size_ && size_ - position >= 2);
    store_u16(out_.data() + position, value);
  }

  // Sets how far may be written, at most the whole span; lets room be kept back for what must come last.
  void set_limit(std::size_t limit) { limit_ = std::min(limit, out_.size()); }
  std::size_t limit() const { return limit_; }
  std::size_t room() const { return size_ < limit_ ? limit_ - size_ : 0; }

  std::size_t mark() const { return size_; }
  // Forgets all that was written after the mark, a failure too.
  void go_back(std::size_t mark) {
    HAR_ASSERT(mark <= size_);
    size_ = mark;
    failed_ = false;
  }

  std::size_t size() const { return size_; }
  bool failed() const { return failed_; }

 private:
  static void store_u16(std::uint8_t* at, std::uint16_t value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
  }
  std::uint8_t* take(std::size_t n) {
    if (failed_ || n > room()) {
      failed_ = true;
      return nullptr;
    }
    std::uint8_t* at = out_.data() + size_;
    size_ += n;
    return at;
  }

  std::span<std::uint8_t> out_;
  std::size_t limit_;
  std::size_t size_ = 0;
  bool failed_ = false;
};

}  // namespace har::dns
