// A counter with one writer and any number of readers, also across processes in shared memory.
#pragma once

#include <atomic>
#include <cstdint>

namespace har {

class Counter {
 public:
  // Only the one writer calls this. Relaxed load and store instead of fetch_add: no locked instruction is needed.
  void add(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};
static_assert(sizeof(Counter) == 8 && std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace har
