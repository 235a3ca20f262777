#include "config/suggest.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace har::config {
namespace {

TEST(EditDistance, CountsSlipsOfTheHand) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("ttl", ""), 3u);
  EXPECT_EQ(edit_distance("ttl", "ttl"), 0u);
  EXPECT_EQ(edit_distance("tl", "ttl"), 1u);
  EXPECT_EQ(edit_distance("tlt", "ttl"), 1u) << "a swap is one slip";
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("TTL", "ttl"), 0u);
  EXPECT_EQ(edit_distance("best-rtt", "best_rtt"), 0u);
}

// The plain recursive definition, for all short words over two letters.
unsigned by_definition(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return static_cast<unsigned>(a.size() + b.size());
  const auto shorter = [](std::string_view s, std::size_t n = 1) { return s.substr(0, s.size() - n); };
  unsigned best = std::min({by_definition(shorter(a), b) + 1, by_definition(a, shorter(b)) + 1,
                            by_definition(shorter(a), shorter(b)) + (a.back() == b.back() ? 0u : 1u)});
  if (a.size() > 1 && b.size() > 1 && a.back() == b[b.size() - 2] && b.back() == a[a.size() - 2]) {
    best = std::min(best, by_definition(shorter(a, 2), shorter(b, 2)) + 1);
  }
  return best;
}

TEST(EditDistance, AgreesWithItsDefinitionOnAllShortWords) {
  std::vector<std::string> words{""};
  for (std::size_t i = 0; i < words.size() && words[i].size() < 4; ++i) {
    for (const char c : {'a', 'b'}) words.push_back(words[i] + c);
  }
  for (const auto& a : words) {
    for (const auto& b : words) ASSERT_EQ(edit_distance(a, b), by_definition(a, b)) << a << " " << b;
  }
}

TEST(Nearest, IsEmptyWhenNothingIsNear) {
  constexpr std::array<std::string_view, 3> kKnown{"check_frequency", "check_timeout", "ttl"};
  EXPECT_EQ(nearest("check_frequancy", kKnown), "check_frequency");
  EXPECT_EQ(nearest("tll", kKnown), "ttl");
  EXPECT_EQ(nearest("listen", kKnown), "");
  EXPECT_EQ(nearest("", kKnown), "");
  EXPECT_EQ(nearest(std::string(1000, 'x'), kKnown), "");
}

}  // namespace
}  // namespace har::config
