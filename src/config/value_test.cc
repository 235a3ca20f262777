#include "config/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/test_text.h"

namespace har::config {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(Value, IntegersAreDecimalOrHexadecimal) {
  EXPECT_EQ(parse_integer("0").value(), 0);
  EXPECT_EQ(parse_integer("-0").value(), 0);
  EXPECT_EQ(parse_integer("128").value(), 128);
  EXPECT_EQ(parse_integer("-5").value(), -5);
  EXPECT_EQ(parse_integer("0x1F").value(), 31);
  for (const auto* text : {"", "-", "1.5", "1e3", "12x", " 1", "1 ", "0x", "0xg", "--1", "+1", "9223372036854775808"}) {
    EXPECT_FALSE(parse_integer(text)) << text;
  }
  EXPECT_THAT(parse_integer("010").error().message, HasSubstr("write 10"));
  EXPECT_THAT(parse_integer("00").error().message, HasSubstr("write 0"));
}

TEST(Value, DurationsAreSecondsToTheNanosecond) {
  using std::chrono::nanoseconds;
  EXPECT_EQ(parse_duration("2").value(), std::chrono::seconds(2));
  EXPECT_EQ(parse_duration("0.1").value(), std::chrono::milliseconds(100));
  EXPECT_EQ(parse_duration(".5").value(), std::chrono::milliseconds(500));
  EXPECT_EQ(parse_duration("1e-6").value(), nanoseconds(1000));
  EXPECT_EQ(parse_duration("0.000000001").value(), nanoseconds(1));
  EXPECT_GT(parse_duration("1e300").value(), std::chrono::hours(24 * 365));
  for (const auto* text : {"", "s", "inf", "nan", "0x10", "1,5", "1e999", "5 parsecs"})
    EXPECT_FALSE(parse_duration(text)) << text;
  EXPECT_THAT(parse_duration("500ms").error().message, HasSubstr("the seconds alone: 0.5"));
  EXPECT_THAT(parse_duration("5 min").error().message, HasSubstr("the seconds alone: 300"));
}

TEST(Value, SwitchesAreLibconfuses) {
  for (const auto* text : {"true", "Yes", "ON"}) EXPECT_TRUE(parse_switch(text).value()) << text;
  for (const auto* text : {"false", "no", "Off"}) EXPECT_FALSE(parse_switch(text).value()) << text;
  for (const auto* text : {"", "1", "0", "t"}) EXPECT_FALSE(parse_switch(text).has_value()) << text;
}

TEST(Value, RangesHoldAtBothEnds) {
  EXPECT_THAT(mistakes_of("dns_listen_port = 1"), IsEmpty());
  EXPECT_THAT(mistakes_of("dns_listen_port = 65535"), IsEmpty());
  EXPECT_THAT(mistakes_of("dns_listen_port = 0"),
              HasSubstr("t:1: dns_listen_port: '0' is out of range; write 1 to 65535"));
  EXPECT_THAT(mistakes_of("dns_listen_port = 65536"), HasSubstr("out of range"));
  EXPECT_THAT(mistakes_of("dns_listen_port = -1"), HasSubstr("out of range"));
  EXPECT_THAT(mistakes_of("resolver_timeout = 3"), HasSubstr("write 0.01 to 2 seconds"));
  EXPECT_THAT(mistakes_of(in_name("fall = 0")), HasSubstr("fall: '0' is out of range"));
  EXPECT_THAT(mistakes_of(in_name("answer_count = 9")), HasSubstr("write 1 to 8"));
  EXPECT_THAT(mistakes_of(in_name("answer_count = 0")), HasSubstr("write 1 to 8"));
}

TEST(Value, EveryNumberOfTheTableIsCheckedAtItsEnds) {
  for (const auto& option : options()) {
    if (option.kind != Kind::kInteger && option.kind != Kind::kDuration && option.kind != Kind::kFraction) continue;
    const auto with = [&](double value) {
      const auto line = fmt::format("{} = {:.12g}\n", option.key, value);
      const auto method = std::string(option.key == "check_frequency" ? "check_frequency_changing = 0.01\n" : "") +
                          (option.key == "check_frequency_changing" ? "check_frequency = 86400\n" : "");
      if (option.where == kAtTop) return mistakes_of(line);
      return option.where == kInCandidate ? mistakes_of(in_candidate(line)) : mistakes_of(in_name(method + line));
    };
    EXPECT_THAT(with(option.least), IsEmpty()) << option.key;
    EXPECT_THAT(with(option.most), IsEmpty()) << option.key;
    EXPECT_THAT(with(option.most * 2 + 1), HasSubstr("out of range")) << option.key;
    EXPECT_THAT(with(-1), HasSubstr("out of range")) << option.key;
  }
}

TEST(Value, WordsAreListedAndTheNearestSuggested) {
  EXPECT_THAT(
      mistakes_of(in_name("selection_method = best-rtt")),
      HasSubstr("t:2: selection_method: 'best-rtt' is unknown; did you mean 'best_rtt'? write best_rtt, group_rtt_rr, "
                "failover, random, weighted or hash"));
  EXPECT_THAT(mistakes_of(in_name("failure_mode = xyzzy")), HasSubstr("'xyzzy' is unknown; write all, last, "));
}

TEST(Value, HintsAtUnitsPercentagesAndSemicolons) {
  EXPECT_THAT(mistakes_of(in_name("switch_margin = 20%")), HasSubstr("write the fraction 0.2"));
  EXPECT_THAT(mistakes_of(in_name("check_timeout = 200ms")), HasSubstr("the seconds alone: 0.2"));
  EXPECT_THAT(mistakes_of(in_name("ttl = 5;")), HasSubstr("'5;' ends with ';'"));
  EXPECT_THAT(mistakes_of(in_name("max_rtt = fast")), HasSubstr("or 'none'"));
}

TEST(Value, ListsAndSingleValuesAreNotConfused) {
  EXPECT_THAT(mistakes_of(in_name("ttl = { 5 }")), HasSubstr("ttl takes one value, not a list; write 'ttl = 0'"));
  EXPECT_THAT(mistakes_of(in_name("ttl += 5")), HasSubstr("cannot be added to"));
  EXPECT_THAT(mistakes_of("nameservers = 192.0.2.1"), IsEmpty());
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = { }"), HasSubstr("an empty list; leave the line out"));
}

}  // namespace
}  // namespace har::config
