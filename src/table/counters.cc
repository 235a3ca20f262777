#include "table/counters.h"

#include "base/assert.h"

namespace har::table {
namespace {

constexpr std::size_t kLine = 64 / sizeof(Counter);
constexpr std::size_t whole_lines_of(std::size_t counters) { return (counters + kLine - 1) / kLine * kLine; }
constexpr std::size_t kCells = whole_lines_of(static_cast<std::size_t>(Cell::kCount));

// One worker's counters, in whole cache lines: no two workers ever write to the same one.
std::size_t stride_of(std::uint32_t names) { return kCells + whole_lines_of(names); }

}  // namespace

std::size_t Counters::bytes_needed(std::uint32_t workers, std::uint32_t names) {
  return workers * stride_of(names) * sizeof(Counter);
}

Counters::Counters(std::span<std::byte> memory, std::uint32_t workers, std::uint32_t names)
    : counters_(reinterpret_cast<Counter*>(memory.data())),
      stride_(stride_of(names)),
      workers_(workers),
      names_(names) {
  HAR_ASSERT(memory.size() >= bytes_needed(workers, names));
  HAR_ASSERT(reinterpret_cast<std::uintptr_t>(memory.data()) % 64 == 0);
}

Counter& Counters::cell(std::uint32_t worker, Cell which) {
  HAR_ASSERT(worker < workers_ && which < Cell::kCount);
  return counters_[worker * stride_ + static_cast<std::size_t>(which)];
}

Counter& Counters::name(std::uint32_t worker, std::uint32_t slot) {
  HAR_ASSERT(worker < workers_ && slot < names_);
  return counters_[worker * stride_ + kCells + slot];
}

std::uint64_t Counters::total(Cell which) const {
  HAR_ASSERT(which < Cell::kCount);
  std::uint64_t sum = 0;
  for (std::uint32_t worker = 0; worker < workers_; ++worker) {
    sum += counters_[worker * stride_ + static_cast<std::size_t>(which)].get();
  }
  return sum;
}

std::uint64_t Counters::name_total(std::uint32_t slot) const {
  HAR_ASSERT(slot < names_);
  std::uint64_t sum = 0;
  for (std::uint32_t worker = 0; worker < workers_; ++worker) {
    sum += counters_[worker * stride_ + kCells + slot].get();
  }
  return sum;
}

}  // namespace har::table
