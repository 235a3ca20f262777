#include "answer/pick.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

namespace har::answer {
namespace {

using table::FamilyAnswer;
using table::Order;

FamilyAnswer answer_with(Order order, std::uint8_t count, std::uint8_t group, std::uint8_t answer_count) {
  FamilyAnswer answer;
  answer.kind = table::Kind::kAddresses;
  answer.order = order;
  answer.count = count;
  answer.group = group;
  answer.answer_count = answer_count;
  return answer;
}

std::string places(const Picked& picked) {
  std::string out;
  for (std::size_t i = 0; i < picked.size; ++i) out += static_cast<char>('0' + picked.places[i]);
  return out;
}

TEST(Pick, EveryOrderGivesDistinctPlacesAndKeepsTheGroupInFront) {
  Turns turns(7, 1);
  for (const Order order : {Order::kFirst, Order::kInTurn, Order::kRandom, Order::kWeighted}) {
    for (std::uint8_t count = 0; count <= 8; ++count) {
      for (std::uint8_t group = 0; group <= count; ++group) {
        for (std::uint8_t wanted = 0; wanted <= 9; ++wanted) {
          auto answer = answer_with(order, count, group, wanted);
          for (std::size_t i = 0; i < count; ++i) answer.weights[i] = static_cast<std::uint16_t>(i % 3 * 30'000);
          const auto picked = pick(answer, 0, Family::kV4, turns);
          ASSERT_EQ(picked.size, std::min<std::size_t>(std::max<std::size_t>(wanted, 1), count));
          std::array<bool, 8> seen{};
          for (std::size_t i = 0; i < picked.size; ++i) {
            ASSERT_LT(picked.places[i], count);
            ASSERT_FALSE(seen[picked.places[i]]);
            seen[picked.places[i]] = true;
            if (i >= group) {
              ASSERT_EQ(picked.places[i], i);
            } else {
              ASSERT_LT(picked.places[i], group);
            }
          }
        }
      }
    }
  }
}

TEST(Pick, TurnsGoRoundEvenlyForEveryGroupSizeAndOverTheirWrap) {
  for (std::uint8_t group = 2; group <= 8; ++group) {
    Turns turns(1, 3);
    const auto answer = answer_with(Order::kInTurn, 8, group, 1);
    for (unsigned query = 0; query < 70'000; ++query) {
      ASSERT_EQ(pick(answer, 2, Family::kV6, turns).places[0], query % group);
    }
  }
}

TEST(Pick, TurnsOfSlotsAndFamiliesAreApart) {
  Turns turns(1, 2);
  const auto answer = answer_with(Order::kInTurn, 3, 3, 3);
  EXPECT_EQ(places(pick(answer, 0, Family::kV4, turns)), "012");
  EXPECT_EQ(places(pick(answer, 0, Family::kV4, turns)), "120");
  EXPECT_EQ(places(pick(answer, 0, Family::kV6, turns)), "012");
  EXPECT_EQ(places(pick(answer, 1, Family::kV4, turns)), "012");
  EXPECT_EQ(places(pick(answer, 0, Family::kV4, turns)), "201");
}

TEST(Pick, RandomPutsEveryPlaceFirstEquallyOften) {
  Turns turns(42, 1);
  std::array<int, 8> first{};
  std::array<int, 8> second{};
  const auto answer = answer_with(Order::kRandom, 8, 5, 2);
  constexpr int kDraws = 50'000;
  for (int i = 0; i < kDraws; ++i) {
    const auto picked = pick(answer, 0, Family::kV4, turns);
    ++first[picked.places[0]];
    ++second[picked.places[1]];
  }
  // 10,000 expected, standard deviation 90.
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(first[i], kDraws / 5, 500);
    EXPECT_NEAR(second[i], kDraws / 5, 500);
  }
}

TEST(Pick, WeightedDrawsInProportionAndWithoutReplacement) {
  Turns turns(42, 1);
  auto answer = answer_with(Order::kWeighted, 3, 3, 2);
  answer.weights = {100, 300, 600};
  std::array<int, 3> first{};
  int second_after_2_is_1 = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const auto picked = pick(answer, 0, Family::kV4, turns);
    ++first[picked.places[0]];
    if (picked.places[0] == 2 && picked.places[1] == 1) ++second_after_2_is_1;
  }
  EXPECT_NEAR(first[0], 10'000, 700);
  EXPECT_NEAR(first[1], 30'000, 900);
  EXPECT_NEAR(first[2], 60'000, 900);
  EXPECT_NEAR(second_after_2_is_1, first[2] * 3 / 4, 900);
}

TEST(Pick, WeightZeroIsDrawnOnlyWhenNothingElseIsLeft) {
  Turns turns(42, 1);
  auto answer = answer_with(Order::kWeighted, 4, 3, 4);
  answer.weights = {0, 0, 5, 9};
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(places(pick(answer, 0, Family::kV4, turns)), "2013");
  answer.weights = {0, 0, 0, 9};
  EXPECT_EQ(places(pick(answer, 0, Family::kV4, turns)), "0123");
}

TEST(Pick, WeightedTakesTheLargestWeightsThereAre) {
  Turns turns(42, 1);
  auto answer = answer_with(Order::kWeighted, 8, 8, 1);
  answer.weights.fill(65'535);
  std::array<int, 8> first{};
  for (int i = 0; i < 80'000; ++i) ++first[pick(answer, 0, Family::kV4, turns).places[0]];
  for (const int times : first) EXPECT_NEAR(times, 10'000, 500);
}

TEST(Turns, RandomStaysBelowItsBound) {
  Turns turns(0, 0);
  for (std::uint32_t below = 1; below < 100; ++below) {
    for (int i = 0; i < 100; ++i) ASSERT_LT(turns.random(below), below);
  }
  bool high = false;
  for (int i = 0; i < 100; ++i) high = high || turns.random(0xFFFFFFFF) > 0x80000000;
  EXPECT_TRUE(high);
}

}  // namespace
}  // namespace har::answer
