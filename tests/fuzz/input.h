// What a fuzz target decides by: octets taken from the front, one after the other; zeros where there are none left.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace har {

class Input {
 public:
  using Octets = std::span<const std::uint8_t>;

  explicit Input(Octets octets) : octets_(octets) {}
  bool empty() const { return octets_.empty(); }
  std::uint8_t next() {
    if (octets_.empty()) return 0;
    const std::uint8_t octet = octets_[0];
    octets_ = octets_.subspan(1);
    return octet;
  }
  std::size_t next_16() {
    const std::size_t high = next();
    return high << 8 | next();
  }
  // As many as there are of `size`.
  Octets take(std::size_t size) {
    const Octets piece = octets_.first(std::min(size, octets_.size()));
    octets_ = octets_.subspan(piece.size());
    return piece;
  }
  std::string_view take_text(std::size_t size) {
    const Octets piece = take(size);
    return {reinterpret_cast<const char*>(piece.data()), piece.size()};
  }
  Octets rest() const { return octets_; }

 private:
  Octets octets_;
};

}  // namespace har
