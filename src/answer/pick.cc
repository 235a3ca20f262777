#include "answer/pick.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/assert.h"

namespace har::answer {
namespace {

// A multiple of every group size (1 to 8), so that a turn that starts again does so without a step out of order.
constexpr std::uint16_t kTurnsBeforeAgain = 65'520;

// Draws without replacement in proportion to the weights; those of weight 0 come last, as they stand.
void draw_weighted(const table::FamilyAnswer& answer, std::size_t group, Turns& turns, Picked& picked) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < group; ++i) sum += answer.weights[i];
  for (std::size_t i = 0; i < group && i < picked.size && sum > 0; ++i) {
    std::uint32_t left = turns.random(sum);
    std::size_t at = i;
    while (at + 1 < group && left >= answer.weights[picked.places[at]]) {
      left -= answer.weights[picked.places[at]];
      ++at;
    }
    const std::uint8_t drawn = picked.places[at];
    sum -= answer.weights[drawn];
    // Moved to its place instead of swapped: those not drawn keep their order.
    for (; at > i; --at) picked.places[at] = picked.places[at - 1];
    picked.places[i] = drawn;
  }
}

}  // namespace

Turns::Turns(std::uint64_t seed, std::uint32_t slots) : state_(seed), turns_(std::size_t{slots} * 2) {}

std::uint32_t Turns::next_turn(std::uint32_t slot, Family family) {
  const std::size_t cell = std::size_t{slot} * 2 + (family == Family::kV6 ? 1 : 0);
  HAR_ASSERT(cell < turns_.size());
  const std::uint16_t turn = turns_[cell];
  turns_[cell] = turn + 1 == kTurnsBeforeAgain ? std::uint16_t{0} : static_cast<std::uint16_t>(turn + 1);
  return turn;
}

std::uint32_t Turns::random(std::uint32_t below) {
  HAR_ASSERT(below > 0);
  // splitmix64 (Steele, Lea, Flood 2014): dice for spreading load, not for secrets. The multiplication instead of a
  // remainder (Lemire 2019) leaves a bias under 2^-12 for the largest sum of weights: not worth a loop here.
  state_ += 0x9E3779B97F4A7C15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  z ^= z >> 31;
  return static_cast<std::uint32_t>(((z >> 32) * below) >> 32);
}

Picked pick(const table::FamilyAnswer& answer, std::uint32_t slot, Family family, Turns& turns) {
  Picked picked;
  const std::size_t group = std::min<std::size_t>(answer.group, table::kMaxAddresses);
  picked.size = std::min<std::size_t>(std::max<std::uint8_t>(answer.answer_count, 1), answer.count);
  std::iota(picked.places.begin(), picked.places.end(), std::uint8_t{0});
  if (group < 2) return picked;
  switch (answer.order) {
    case table::Order::kFirst:
      break;
    case table::Order::kInTurn: {
      const std::size_t first = turns.next_turn(slot, family) % group;
      for (std::size_t i = 0; i < group; ++i) picked.places[i] = static_cast<std::uint8_t>((first + i) % group);
      break;
    }
    case table::Order::kRandom:
      for (std::size_t i = 0; i + 1 < group && i < picked.size; ++i) {
        const std::size_t other = i + turns.random(static_cast<std::uint32_t>(group - i));
        std::swap(picked.places[i], picked.places[other]);
      }
      break;
    case table::Order::kWeighted:
      draw_weighted(answer, group, turns, picked);
      break;
  }
  return picked;
}

}  // namespace har::answer
