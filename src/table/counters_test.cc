#include "table/counters.h"

#include <gtest/gtest.h>

#include <set>

#include "table/table_testing.h"

namespace har::table {
namespace {

TEST(Counters, StartAtZeroInZeroedMemoryAndAddUpOverWorkers) {
  testing::Memory memory(Counters::bytes_needed(3, 10));
  Counters counters(memory.bytes(), 3, 10);
  EXPECT_EQ(counters.total(Cell::kUdpQueries), 0u);
  counters.cell(0, Cell::kUdpQueries).add();
  counters.cell(2, Cell::kUdpQueries).add(4);
  counters.cell(2, Cell::kTcpQueries).add(100);
  counters.name(1, 9).add(2);
  counters.name(2, 9).add(3);
  EXPECT_EQ(counters.total(Cell::kUdpQueries), 5u);
  EXPECT_EQ(counters.total(Cell::kTcpQueries), 100u);
  EXPECT_EQ(counters.name_total(9), 5u);
  EXPECT_EQ(counters.name_total(8), 0u);
}

TEST(Counters, AreSeenByAnotherViewOfTheSameMemory) {
  testing::Memory memory(Counters::bytes_needed(1, 1));
  Counters writer(memory.bytes(), 1, 1);
  const Counters reader(memory.bytes(), 1, 1);
  writer.name(0, 0).add(7);
  EXPECT_EQ(reader.name_total(0), 7u);
}

TEST(Counters, OfAllWorkersAreDistinctInsideTheMemoryAndShareNoCacheLine) {
  constexpr std::uint32_t kWorkers = 4;
  constexpr std::uint32_t kNames = 13;
  testing::Memory memory(Counters::bytes_needed(kWorkers, kNames));
  Counters counters(memory.bytes(), kWorkers, kNames);
  const auto* const begin = reinterpret_cast<const Counter*>(memory.bytes().data());
  const auto* const end = begin + memory.bytes().size() / sizeof(Counter);
  std::set<const Counter*> all;
  std::set<std::uintptr_t> lines_of_others;
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
    std::set<std::uintptr_t> lines;
    const auto take = [&](const Counter& counter) {
      EXPECT_TRUE(&counter >= begin && &counter < end);
      EXPECT_TRUE(all.insert(&counter).second);
      lines.insert(reinterpret_cast<std::uintptr_t>(&counter) / 64);
    };
    for (std::uint32_t cell = 0; cell < static_cast<std::uint32_t>(Cell::kCount); ++cell) {
      take(counters.cell(worker, static_cast<Cell>(cell)));
    }
    for (std::uint32_t name = 0; name < kNames; ++name) take(counters.name(worker, name));
    for (const auto line : lines) EXPECT_TRUE(lines_of_others.insert(line).second);
  }
}

}  // namespace
}  // namespace har::table
