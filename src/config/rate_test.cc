#include "config/rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/test_text.h"

namespace har::config {
namespace {

using testing::HasSubstr;

TEST(CheckRate, CountsTheSameCheckOnce) {
  const auto loaded = load_text(
      "name a.example { candidate x { check_address = \"http://x/\" } candidate y { check_address = \"http://y/\" } }\n"
      "name b.example { candidate x2 { check_address = \"http://x:80/\" } candidate z { check_address = \"http://y/z\" "
      "} }\n"
      "name c.example { candidate x { check_frequency = 0.5 } }\n");
  ASSERT_EQ(said(loaded.mistakes), "");
  // x and y and y/z every 2 s, x again every 0.5 s.
  EXPECT_DOUBLE_EQ(checks_per_second(*loaded.config), 3.5);
  const auto report = check_rate_report(*loaded.config);
  EXPECT_THAT(report, HasSubstr("names: 3, candidates: 5, different checks: 4\n"));
  EXPECT_THAT(report, HasSubstr("checks a second from one host: 3.5\n"));
  EXPECT_THAT(report, HasSubstr("        2500  http://x:80\n"));
  EXPECT_THAT(report, HasSubstr("        1000  http://y:80\n"));
  EXPECT_LT(report.find("http://x"), report.find("http://y")) << "the busiest first";
}

TEST(CheckRate, StaysShortWithManyEndpoints) {
  std::string text;
  for (int i = 0; i < 100; ++i)
    text += "name n" + std::to_string(i) + " { candidate c" + std::to_string(i) + " { } }\n";
  const auto report = check_rate_report(*load_text(text).config);
  EXPECT_THAT(report, HasSubstr("80 more, at most 500 each"));
  EXPECT_LT(std::count(report.begin(), report.end(), '\n'), 30);
}

TEST(CheckRate, SaysNothingOfEndpointsWithoutNames) {
  EXPECT_EQ(check_rate_report(Config{}),
            "names: 0, candidates: 0, different checks: 0\nchecks a second from one host: 0\n");
}

}  // namespace
}  // namespace har::config
