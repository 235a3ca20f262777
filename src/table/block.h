// A block: a value of several words that one writer replaces while others read it, without a lock, and that stays
// readable when the writer is killed between any two instructions.
//
// A sequence word and two versions. Version (sequence & 1) is the value; the other is idle. The writer fills the idle
// one and then adds 1 to the sequence: that one store publishes it. A writer that dies before it has touched the idle
// version only, and its successor fills it anew. A reader notes the sequence, copies, and looks again: only if the
// writer has published since (and so may already fill the version being copied) it starts over. So a reader loses only
// to two publications during one copy, and never waits for a writer that stands still.
//
// Why no fences: every store releases and every load acquires. A reader that saw one word of a later filling therefore
// sees the sequence word stored before it, and starts over. On x86-64 these are plain moves; on aarch64 stlr and ldar,
// some nanoseconds. (Fences would do with relaxed words, but ThreadSanitizer does not know them.)
// Thread: one writer, any number of readers.  Tested by: table_test.cc, table_stress_test.cc (TSan)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "table/layout.h"

namespace har::table {

// Where a block's words are: the first `near_words` of each version stand apart from the rest (W: Word or const Word).
template <class W>
struct Block {
  W* sequence;
  std::array<W*, 2> near;
  std::array<W*, 2> far;
  std::size_t near_words;

  W& word(std::size_t version, std::size_t i) const {
    return i < near_words ? near[version][i] : far[version][i - near_words];
  }
};

struct StoreWord {
  void operator()(Word& word, std::uint64_t value) const { word.store(value, std::memory_order_release); }
};

// `fill` is called once with put(i, value) and puts the words that the new value needs. Every store to the shared
// memory goes through `store`: the tests end the writer there.
template <class Fill, class Store = StoreWord>
void publish(const Block<Word>& block, Fill fill, Store store = {}) {
  // Relaxed: only the one writer changes it.
  const std::uint64_t sequence = block.sequence->load(std::memory_order_relaxed);
  const std::size_t idle = (sequence + 1) & 1;
  fill([&](std::size_t i, std::uint64_t value) { store(block.word(idle, i), value); });
  store(*block.sequence, sequence + 1);
}

// Calls copy(get), get(i) being the i-th word, until the words it saw were one published value; at most `tries` times,
// else false. What `copy` sees before that may be a mixture of two values: it must be ready for any word.
template <class Copy>
bool read_block(const Block<const Word>& block, int tries, Copy copy) {
  std::uint64_t sequence = block.sequence->load(std::memory_order_acquire);
  for (int i = 0; i < tries; ++i) {
    const std::size_t version = sequence & 1;
    copy([&](std::size_t word) { return block.word(version, word).load(std::memory_order_acquire); });
    // Acquire, because it is also the first look of the next try.
    const std::uint64_t after = block.sequence->load(std::memory_order_acquire);
    if (after == sequence) return true;
    sequence = after;
  }
  return false;
}

}  // namespace har::table
