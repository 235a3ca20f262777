#include "config/suggest.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace har::config {
namespace {

constexpr std::size_t kLongest = 64;

char folded(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  return c == '-' ? '_' : c;
}

}  // namespace

// Optimal string alignment: three rows of the usual table, for swaps look back two.
unsigned edit_distance(std::string_view a, std::string_view b) {
  HAR_ASSERT(a.size() <= kLongest && b.size() <= kLongest);
  std::array<std::array<unsigned, kLongest + 1>, 3> rows{};
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = static_cast<unsigned>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = static_cast<unsigned>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const char x = folded(a[i - 1]);
      const char y = folded(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (x == y ? 0u : 1u)});
      if (i > 1 && j > 1 && x == folded(b[j - 2]) && folded(a[i - 2]) == y) {
        row[j] = std::min(row[j], two_above[j - 2] + 1);
      }
    }
  }
  return rows[a.size() % 3][b.size()];
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  if (word.empty() || word.size() > kLongest) return {};
  std::string_view best;
  // A third of the letters may differ, and at most four.
  unsigned best_distance = std::min<unsigned>(4, static_cast<unsigned>((word.size() + 2) / 3)) + 1;
  for (const auto one : known) {
    if (one.size() > kLongest) continue;
    const unsigned distance = edit_distance(word, one);
    if (distance < best_distance) {
      best = one;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace har::config
