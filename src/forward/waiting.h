// Queries that wait to be forwarded while there are more than can be: what is our own to answer is answered at once,
// before them, and so never stands behind a flood of what is not. First in, first out; bounded, and nothing is
// allocated for a query. Plain memory: no sockets, no clock.
// Thread: one owner.  Tested by: waiting_test.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>

#include "net/asker.h"

namespace har::forward {

class Waiting {
 public:
  static constexpr std::size_t kRoom = std::size_t{1} << 20;  // some 9,000 ordinary queries
  static constexpr std::size_t kMostOctets = 512;             // of a query: a larger one does not wait

  // Copies the query. false: there is no room.
  bool put(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag);
  // Calls take(query, asker, tag) with the oldest, and forgets it then. The callee must not put(). Requires: !empty()
  template <class Take>
  void take_first(Take take) {
    Head head;
    std::memcpy(&head, memory_.get() + first_, sizeof head);
    take(std::span<const std::uint8_t>(memory_.get() + first_ + sizeof head, head.size), head.asker, head.tag);
    forget_first(head.size);
  }

  bool empty() const { return used_ == 0; }
  std::size_t used() const { return used_; }  // octets of kRoom

 private:
  struct Head {
    net::Asker asker;
    std::uint32_t tag;
    std::uint32_t size;
  };
  static_assert(std::is_trivially_copyable_v<Head>);
  void forget_first(std::size_t size);

  // Fresh from the system, and used from its beginning whenever it was empty: it costs the pages that were needed.
  std::unique_ptr<std::uint8_t[]> memory_ = std::make_unique_for_overwrite<std::uint8_t[]>(kRoom);
  std::size_t first_ = 0;    // where the oldest stands
  std::size_t next_ = 0;     // where the next one goes
  std::size_t end_ = kRoom;  // what stands before it is whole: behind it nothing fitted any more
  std::size_t used_ = 0;
};

}  // namespace har::forward
