#include "app/bundle.h"

#include <gtest/gtest.h>

namespace har::app {
namespace {

Bundle example() {
  return {"/etc/har.conf",
          {{"/etc/har.conf", "include(\"more\")\nttl ${X}\n\n"}, {"more", std::string("a\0b\r\n", 5)}, {"empty", ""}},
          {{"X", "5"}, {"Y", std::nullopt}, {"Z", ""}},
          {{"workers", "2"}}};
}

TEST(Bundle, SurvivesTheWayThroughText) {
  const Bundle before = example();
  const auto after = Bundle::parse(before.to_text());
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->main_path, before.main_path);
  ASSERT_EQ(after->files.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(after->files[i].path, before.files[i].path);
    EXPECT_EQ(after->files[i].text, before.files[i].text);
  }
  EXPECT_EQ(after->variables, before.variables);
  EXPECT_EQ(after->in_force, before.in_force);
}

TEST(Bundle, ACutCopyIsRefusedWhereverItIsCut) {
  const std::string whole = example().to_text();
  std::size_t accepted = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // Cut exactly between two entries it is a shorter bundle, never a wrong one.
    if (const auto cut = Bundle::parse(whole.substr(0, size))) {
      ++accepted;
      EXPECT_EQ(cut->main_path, "/etc/har.conf");
    }
  }
  EXPECT_LE(accepted, 6u);
}

}  // namespace
}  // namespace har::app
