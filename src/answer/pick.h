// Which of a slot's addresses go into one answer, and in which order (Order in table/content.h).
// Thread: that of the Turns.  Tested by: pick_test.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "answer/answer.h"
#include "base/ip.h"
#include "table/content.h"

namespace har::answer {

struct Picked {
  std::array<std::uint8_t, table::kMaxAddresses> places{};  // into FamilyAnswer::addresses
  std::size_t size = 0;                                     // at most answer_count
};

// Takes a turn or rolls the dice where the order asks for it. Requires: answer.count and group as a Reader gives them.
Picked pick(const table::FamilyAnswer& answer, std::uint32_t slot, Family family, Turns& turns);

}  // namespace har::answer
