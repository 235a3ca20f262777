#include "config/check_pool.h"

#include <gtest/gtest.h>

#include "config/check_testing.h"
#include "config/test_text.h"

namespace har::config {
namespace {

TEST(CheckPool, EqualChecksAreOneObject) {
  CheckPool pool;
  const SharedCheck a = pool.share(*check_of_host("a.example"));
  EXPECT_TRUE(pool.share(*check_of_host("a.example")).is_same_object(a));
  EXPECT_FALSE(pool.share(*check_of_host("b.example")).is_same_object(a));
  const SharedCheck slower = pool.share(*with(a, &Check::timeout, std::chrono::seconds(3)));
  EXPECT_FALSE(slower.is_same_object(a)) << "what is not in the hash counts as well";
  EXPECT_NE(slower, a);
}

TEST(CheckPool, ALoadTakesEqualChecksFromTheConfigurationBefore) {
  const std::string one = "name a.example { candidate 192.0.2.1 { } candidate 192.0.2.2 { } }\n";
  const auto before = load_text(one).config;
  const auto after =
      load_text("name b.example { candidate 192.0.2.2 { check_port = 81 } }\n" + one, before.get()).config;
  ASSERT_TRUE(before && after);
  const auto& old = before->names[0].candidates;
  const auto& now = after->names[1].candidates;
  EXPECT_TRUE(now[0].check.is_same_object(old[0].check));
  EXPECT_TRUE(now[1].check.is_same_object(old[1].check));
  EXPECT_FALSE(after->names[0].candidates[0].check.is_same_object(old[1].check));
}

}  // namespace
}  // namespace har::config
