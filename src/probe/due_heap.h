// What is due when: the earliest first, any one taken out or moved at will. Sixteen octets an entry, where a std::set
// takes a node of sixty-four: the checks and hosts of a large configuration wait here.
// An entry stands in one heap at most, stays where it is in memory, and has a member `heap_place` for the heap's use
// and a member `number` that decides between entries due at one time. Thread: its owner's.  Tested by: due_heap_test.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/time.h"

namespace har::probe {

template <class Entry>
class DueHeap {
 public:
  struct Item {
    Instant due;
    Entry* entry;
    bool operator<(const Item& other) const {
      return due != other.due ? due < other.due : entry->number < other.entry->number;
    }
  };

  bool empty() const { return items_.empty(); }
  const Item& first() const { return items_.front(); }  // requires: not empty
  Instant due_of(const Entry& entry) const { return items_[entry.heap_place].due; }

  void add(Entry& entry, Instant due) {
    items_.push_back({due, &entry});
    rise(items_.size() - 1);
  }
  // Requires: it is in here.
  void remove(const Entry& entry) {
    const std::size_t place = entry.heap_place;
    HAR_ASSERT(place < items_.size() && items_[place].entry == &entry);
    const Item last = items_.back();
    items_.pop_back();
    if (place == items_.size()) return;
    put(place, last);
    rise(place);
    sink(last.entry->heap_place);
  }

 private:
  void put(std::size_t place, const Item& item) {
    items_[place] = item;
    item.entry->heap_place = static_cast<std::uint32_t>(place);
  }
  void rise(std::size_t place) {
    const Item item = items_[place];
    while (place > 0 && item < items_[(place - 1) / 2]) {
      put(place, items_[(place - 1) / 2]);
      place = (place - 1) / 2;
    }
    put(place, item);
  }
  void sink(std::size_t place) {
    const Item item = items_[place];
    for (std::size_t child; (child = 2 * place + 1) < items_.size(); place = child) {
      if (child + 1 < items_.size() && items_[child + 1] < items_[child]) ++child;
      if (!(items_[child] < item)) break;
      put(place, items_[child]);
    }
    put(place, item);
  }

  std::vector<Item> items_;
};

}  // namespace har::probe
