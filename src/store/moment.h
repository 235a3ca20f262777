// One moment by three clocks: what is put down in a process's Instants is written so that people and the next process
// can read it. Thread: any.  Tested by: row_clock_test.cc
#pragma once

#include <cstdint>

#include "base/time.h"

namespace har::store {

struct Moment {
  Instant now{};           // of the rows' Instants
  WallTime wall{};         // for people, and from one boot to the next; steps
  Instant since_boot{};    // CLOCK_BOOTTIME: never steps, and goes on while the machine sleeps
  std::uint64_t boot = 0;  // the boot that it counts from; 0: cannot be told

  static Moment current();
};

}  // namespace har::store
