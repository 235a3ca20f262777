// Memory shared between processes through a descriptor: sealed memory files and their mappings.
// Thread: any.  Tested by: channel_test.cc
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "net/fd.h"

namespace har::net {

// A zeroed memory file of exactly `size` octets (rounded up to a page) that nobody can shrink or grow.
Result<Fd> make_memory(const char* name, std::size_t size);
// The same file through a descriptor that cannot write or be mapped writable.
Result<Fd> reopen_read_only(const Fd& memory);
// A text in a memory file, and back (at most `limit` octets).
Result<Fd> text_to_memory(const char* name, std::string_view text);
Result<std::string> memory_to_text(const Fd& memory, std::size_t limit);

class Mapping {
 public:
  enum class Mode { kReadOnly, kReadWrite };
  static Result<Mapping> map(const Fd& memory, Mode mode);  // the whole file; the descriptor may be closed afterwards

  Mapping() = default;
  Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();

  std::span<std::byte> bytes() const { return bytes_; }  // of a read-only mapping: writing faults

 private:
  explicit Mapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

}  // namespace har::net
