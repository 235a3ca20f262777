#include "probe/due_heap.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <set>
#include <utility>

namespace har::probe {
namespace {

using std::chrono::seconds;

struct Thing {
  std::uint32_t number = 0, heap_place = 0;
};

TEST(DueHeap, GivesTheEarliestAndOfEqualsTheOneWithTheSmallestNumber) {
  Thing a{1}, b{2}, c{3};
  DueHeap<Thing> heap;
  EXPECT_TRUE(heap.empty());
  heap.add(c, Instant(seconds(1)));
  heap.add(b, Instant(seconds(1)));
  heap.add(a, Instant(seconds(2)));
  EXPECT_EQ(heap.first().entry, &b);
  EXPECT_EQ(heap.due_of(a), Instant(seconds(2)));
  heap.remove(b);
  EXPECT_EQ(heap.first().entry, &c);
  heap.remove(c);
  EXPECT_EQ(heap.first().entry, &a);
  heap.remove(a);
  EXPECT_TRUE(heap.empty());
}

TEST(DueHeap, OrdersAsASetDoesWhateverComesAndGoes) {
  std::minstd_rand random(7);
  std::deque<Thing> things(200);
  std::deque<bool> inside(things.size());
  for (std::uint32_t i = 0; i < things.size(); ++i) things[i].number = i;
  DueHeap<Thing> heap;
  std::set<std::pair<Instant, std::uint32_t>> model;
  for (int step = 0; step < 20'000; ++step) {
    Thing& thing = things[random() % things.size()];
    if (inside[thing.number]) {
      model.erase({heap.due_of(thing), thing.number});
      heap.remove(thing);
    } else {
      const Instant due(seconds(random() % 50));
      heap.add(thing, due);
      model.emplace(due, thing.number);
    }
    inside[thing.number] = !inside[thing.number];
    ASSERT_EQ(heap.empty(), model.empty());
    if (model.empty()) continue;
    ASSERT_EQ(heap.first().due, model.begin()->first);
    ASSERT_EQ(heap.first().entry->number, model.begin()->second);
  }
}

}  // namespace
}  // namespace har::probe
