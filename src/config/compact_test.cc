#include "config/compact.h"

#include <gtest/gtest.h>

#include "config/test_text.h"

namespace har::config {
namespace {

const SharedCheck& check(const std::shared_ptr<const Config>& config, std::size_t name, std::size_t candidate) {
  return config->names[name].candidates[candidate].check;
}

TEST(CompactCopy, IsEqualAndSharesWithTheOriginalWhatTheOneBeforeHasAndNothingElse) {
  const std::string one = "name a.example { candidate 192.0.2.1 { check_path = /a } candidate 192.0.2.2 { } }\n";
  const auto before = load_text(one).config;
  const auto read = load_text(one +
                                  "name b.example { candidate 192.0.2.3 { check_path = /a } candidate 192.0.2.4 { "
                                  "check_path = /b } }\nname c.example { candidate 192.0.2.4 { check_path = /b } }\n",
                              before.get())
                        .config;
  ASSERT_TRUE(before && read);
  const auto copy = compact_copy(*read, before.get());
  ASSERT_EQ(copy->names.size(), 3u);
  for (std::size_t name = 0; name < 3; ++name) {
    EXPECT_EQ(copy->names[name].host, read->names[name].host);
    ASSERT_EQ(copy->names[name].candidates.size(), read->names[name].candidates.size());
    for (std::size_t i = 0; i < copy->names[name].candidates.size(); ++i) {
      EXPECT_EQ(check(copy, name, i), check(read, name, i));
      EXPECT_EQ(check(copy, name, i).is_same_object(check(read, name, i)), name == 0);
    }
  }
  EXPECT_TRUE(check(copy, 0, 0).is_same_object(check(before, 0, 0)));
  EXPECT_TRUE(check(copy, 1, 0)->http.is_same_object(check(before, 0, 0)->http)) << "a new check, a known path";
  EXPECT_FALSE(check(copy, 1, 1)->http.is_same_object(check(read, 1, 1)->http));
  EXPECT_TRUE(check(copy, 1, 1).is_same_object(check(copy, 2, 0))) << "one object, as in the original";
}

TEST(CompactCopy, OfTheFirstConfigurationSharesNothing) {
  const auto read = load_text("name a.example { candidate 192.0.2.1 { check_path = /a } }\n").config;
  ASSERT_TRUE(read);
  const auto copy = compact_copy(*read, nullptr);
  EXPECT_EQ(check(copy, 0, 0), check(read, 0, 0));
  EXPECT_FALSE(check(copy, 0, 0).is_same_object(check(read, 0, 0)));
  EXPECT_FALSE(check(copy, 0, 0)->http.is_same_object(check(read, 0, 0)->http));
}

}  // namespace
}  // namespace har::config
