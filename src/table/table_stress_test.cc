// The table under real concurrency: threads on one mapping (to be run under TSan too), and a writer process that is
// killed for good in the middle of its work.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "table/table_testing.h"

namespace har::table {
namespace {

using namespace har::table::testing;

constexpr Family kBoth[] = {Family::kV4, Family::kV6};

// The content that a view claims to be, by its TTL.
bool is_whole(const Reader::View& view, Family family) { return shows(view, content_number(view.ttl), family); }

TEST(TableStress, EveryReadIsOneOfTheWrittenContentsWhole) {
  constexpr std::uint32_t kSlots = 3;
  constexpr std::uint32_t kWrites = 60'000;
  constexpr std::uint64_t kReads = 20'000;
  Table table(plan_of({"a.example", "b.example", "c.example"}));
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) table.writer.write(slot, content_number(1));
  table.writer.set_upstreams(std::vector<IpPort>(1, {address("192.0.2.1"), 1, 1}));

  std::atomic<int> reading{0};
  std::atomic<bool> end{false};
  std::atomic<std::uint64_t> torn{0};
  std::atomic<std::uint64_t> given_up{0};
  std::atomic<std::uint64_t> backwards{0};
  std::vector<std::thread> readers;
  for (int thread = 0; thread < 3; ++thread) {
    readers.emplace_back([&] {
      const Reader reader = Reader::open(table.memory.bytes()).value();
      std::uint32_t last[kSlots] = {};
      std::uint64_t done = 0;
      for (; !end.load(std::memory_order_relaxed) || done < kReads; ++done) {
        if (done == kReads) ++reading;
        const auto slot = static_cast<std::uint32_t>(done % kSlots);
        const Family family = kBoth[done / kSlots % 2];
        Reader::View view;
        if (!reader.read(slot, family, view)) {
          ++given_up;
          continue;
        }
        if (!is_whole(view, family)) ++torn;
        if (view.ttl < last[slot]) ++backwards;
        last[slot] = view.ttl;
        if (done % 16 == 0) {
          const auto upstreams = reader.upstreams();
          for (const auto& upstream : upstreams) {
            if (upstream.port != upstreams.size() || upstream.scope != upstreams.size()) ++torn;
          }
        }
      }
    });
  }
  // Writes until every reader has had its fill of them.
  std::uint32_t number = 1;
  while (number < kWrites || reading.load() < 3) {
    ++number;
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) table.writer.write(slot, content_number(number));
    if (number % 4 == 0) {
      const auto count = static_cast<std::uint16_t>(1 + number / 4 % kMaxUpstreams);
      table.writer.set_upstreams(std::vector<IpPort>(count, {address("2001:db8::1"), count, count}));
    }
    table.writer.beat(Instant(std::chrono::nanoseconds(number)));
  }
  end = true;
  for (auto& thread : readers) thread.join();
  EXPECT_EQ(torn.load(), 0u);
  EXPECT_EQ(backwards.load(), 0u);
  EXPECT_EQ(given_up.load(), 0u);
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    Reader::View view;
    ASSERT_TRUE(table.reader.read(slot, Family::kV4, view));
    EXPECT_EQ(view.ttl, number);
  }
}

class SharedMapping {
 public:
  explicit SharedMapping(std::size_t size)
      : size_(size), at_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
  ~SharedMapping() { munmap(at_, size_); }
  SharedMapping(const SharedMapping&) = delete;
  SharedMapping& operator=(const SharedMapping&) = delete;
  std::span<std::byte> bytes() const { return {static_cast<std::byte*>(at_), size_}; }

 private:
  std::size_t size_;
  void* at_;
};

TEST(TableStress, AWriterProcessKilledInTheMiddleLeavesAWholeTableThatTheNextOneAdopts) {
  const Plan plan = plan_of({"a.example", "b.example"});
  const SharedMapping mapping(Writer::bytes_needed(plan));
  Writer::create(mapping.bytes(), plan).write(0, content_number(1));
  const Reader reader = Reader::open(mapping.bytes()).value();
  std::uint32_t last = 1;
  for (int round = 0; round < 25; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto writer = Writer::adopt(mapping.bytes());
      if (!writer) _exit(1);
      for (std::uint32_t n = last + 1;; ++n) writer->write(0, content_number(n));
    }
    // Wait for the child's own writes to be seen, then end it wherever it happens to be.
    Reader::View view;
    do {
      ASSERT_TRUE(reader.read(0, kBoth[round % 2], view));
      ASSERT_TRUE(is_whole(view, kBoth[round % 2]));
      ASSERT_EQ(waitpid(child, nullptr, WNOHANG), 0) << "the writer ended by itself";
    } while (view.ttl < last + 50 + static_cast<std::uint32_t>(round) * 7);
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    for (const Family family : kBoth) {
      ASSERT_TRUE(reader.read(0, family, view));
      ASSERT_TRUE(is_whole(view, family));
      ASSERT_GE(view.ttl, last);
    }
    last = view.ttl;
  }
}

}  // namespace
}  // namespace har::table
