#include "forward/waiting.h"

#include <algorithm>

namespace har::forward {

bool Waiting::put(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag) {
  const std::size_t size = sizeof(Head) + query.size();
  if (query.size() > kMostOctets) return false;
  const bool is_round = next_ < first_ || (next_ == first_ && used_ > 0);  // the oldest stand behind us
  if (size > (is_round ? first_ : kRoom) - next_) {
    if (is_round || size > first_) return false;
    end_ = next_;
    next_ = 0;
  }
  const Head head{asker, tag, static_cast<std::uint32_t>(query.size())};
  std::memcpy(memory_.get() + next_, &head, sizeof head);
  std::copy(query.begin(), query.end(), memory_.get() + next_ + sizeof head);
  next_ += size;
  used_ += size;
  return true;
}

void Waiting::forget_first(std::size_t size) {
  first_ += sizeof(Head) + size;
  used_ -= sizeof(Head) + size;
  if (used_ == 0) {
    first_ = next_ = 0;
    end_ = kRoom;
  } else if (first_ == end_) {
    first_ = 0;
    end_ = kRoom;
  }
}

}  // namespace har::forward
