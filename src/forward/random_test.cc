#include "forward/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace har::forward {
namespace {

TEST(Random, IdsAreSpreadOverTheWholeRange) {
  Random random;
  std::set<std::uint16_t> seen;
  std::uint16_t all_or = 0;
  std::uint16_t all_and = 0xFFFF;
  for (int i = 0; i < 1000; ++i) {
    const std::uint16_t id = random.u16();
    seen.insert(id);
    all_or |= id;
    all_and &= id;
  }
  EXPECT_GT(seen.size(), 960U);  // 992 are expected; a repeating block would give 128
  EXPECT_EQ(all_or, 0xFFFF);
  EXPECT_EQ(all_and, 0);
}

TEST(Random, BelowGivesEveryValueAndNoOther) {
  Random random;
  for (const std::uint32_t n : {1U, 3U, 64U, 100U, 300U}) {
    std::vector<int> counts(n);
    for (std::uint32_t i = 0; i < 200 * n; ++i) ++counts.at(random.below(n));
    EXPECT_GT(*std::min_element(counts.begin(), counts.end()), 100) << n;
    EXPECT_LT(*std::max_element(counts.begin(), counts.end()), 320) << n;
  }
}

TEST(Random, TwoGeneratorsDiffer) {
  Random a;
  Random b;
  EXPECT_NE(a.u64(), b.u64());
}

}  // namespace
}  // namespace har::forward
