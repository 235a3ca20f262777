#include "dns/name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "dns/test_message.h"

namespace har::dns {
namespace {

using ::testing::HasSubstr;

std::vector<std::uint8_t> wire(std::string_view text) {
  const auto result = name_to_wire(text);
  EXPECT_TRUE(result) << text << ": " << (result ? "" : result.error().message);
  return result ? *result : std::vector<std::uint8_t>{};
}
std::string reason(std::string_view text) {
  const auto result = name_to_wire(text);
  return result ? "accepted" : result.error().message;
}

TEST(Name, TextBecomesLowerCaseWireForm) {
  EXPECT_EQ(wire("Api.EXAMPLE.com"), TestMessage{}.name("api.example.com").octets);
  EXPECT_EQ(wire("_dmarc.a-b.x"), TestMessage{}.name("_dmarc.a-b.x").octets);
}

TEST(Name, ATrailingDotChangesNothing) { EXPECT_EQ(wire("a.b."), wire("a.b")); }

TEST(Name, ADotAloneIsTheRoot) { EXPECT_EQ(wire("."), std::vector<std::uint8_t>{0}); }

TEST(Name, EscapesGiveAnyOctet) {
  EXPECT_EQ(wire("a\\.b.c"), (std::vector<std::uint8_t>{3, 'a', '.', 'b', 1, 'c', 0}));
  EXPECT_EQ(wire("\\000\\255\\*"), (std::vector<std::uint8_t>{3, 0, 255, '*', 0}));
  EXPECT_EQ(wire("\\065\\B"), (std::vector<std::uint8_t>{2, 'a', 'b', 0}));  // lower case by every way
}

TEST(Name, MistakesAreNamed) {
  EXPECT_EQ(reason(""), "an empty name");
  for (const auto* text : {"a..b", ".a", "..", "a.."}) EXPECT_EQ(reason(text), "an empty label") << text;
  EXPECT_THAT(reason("*.example"), HasSubstr("'*'"));
  EXPECT_THAT(reason("a b"), HasSubstr("octet 32"));
  EXPECT_THAT(reason("b\xC3\xBC.de"), HasSubstr("octet 195"));
  EXPECT_THAT(reason("a\\"), HasSubstr("ends in"));
  EXPECT_THAT(reason("\\25"), HasSubstr("three digits"));
  EXPECT_THAT(reason("\\2x5"), HasSubstr("three digits"));
  EXPECT_THAT(reason("\\256"), HasSubstr("no octet"));
  EXPECT_THAT(reason(std::string(64, 'a')), HasSubstr("over 63"));
}

TEST(Name, ALabelMayHave63OctetsAndANameMayHave255) {
  const std::string label(63, 'a');
  EXPECT_EQ(wire(label).size(), 65U);
  const std::string three = label + "." + label + "." + label + ".";
  EXPECT_EQ(wire(three + std::string(61, 'b')).size(), 255U);
  EXPECT_EQ(wire(three + std::string(61, 'b') + ".").size(), 255U);
  EXPECT_THAT(reason(three + std::string(62, 'b')), HasSubstr("over 255"));
  EXPECT_THAT(reason(three + std::string(59, 'b') + ".cc"), HasSubstr("over 255"));
  EXPECT_EQ(wire(three + std::string(59, 'b') + ".c").size(), 255U);
}

TEST(Name, WireBecomesTextThatReadsBack) {
  EXPECT_EQ(name_to_text(TestMessage{}.name("Www.Example").octets), "Www.Example");
  EXPECT_EQ(name_to_text(std::vector<std::uint8_t>{0}), ".");
  EXPECT_EQ(name_to_text(std::vector<std::uint8_t>{5, '.', '\\', ' ', '*', 255, 0}), "\\.\\\\\\032\\*\\255");
  std::vector<std::uint8_t> all;
  for (int first = 0; first < 256; first += 32) {
    all.assign(1, 32);
    for (int c = first; c < first + 32; ++c) all.push_back(static_cast<std::uint8_t>(c));
    all.push_back(0);
    EXPECT_TRUE(names_equal(wire(name_to_text(all)), all)) << first;
  }
}

TEST(Name, TextOfBrokenWireFormStaysInBounds) {
  EXPECT_EQ(name_to_text({}), ".");
  EXPECT_EQ(name_to_text(std::vector<std::uint8_t>{9, 'a'}), "a");
}

TEST(Name, EqualityIgnoresAsciiCaseAndNothingElse) {
  for (unsigned x = 0; x < 256; ++x) {
    for (unsigned y = 0; y < 256; ++y) {
      const auto lower = [](unsigned c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
      const bool same = lower(x) == lower(y);
      // In the eight octets that are compared at once, and in those behind them.
      std::vector<std::uint8_t> a = {11, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 0};
      auto b = a;
      for (const std::size_t at : {4U, 10U}) {
        a[at] = static_cast<std::uint8_t>(x);
        b[at] = static_cast<std::uint8_t>(y);
        ASSERT_EQ(names_equal(a, b), same) << x << ' ' << y << ' ' << at;
        ASSERT_EQ(name_hash(a, 7) == name_hash(b, 7), same) << x << ' ' << y << ' ' << at;
        b = a;
      }
    }
  }
}

TEST(Name, EveryOctetOfANameOfAnyLengthCounts) {
  for (std::size_t length = 1; length <= 40; ++length) {
    const auto name = wire(std::string(length, 'k'));
    EXPECT_TRUE(names_equal(name, TestMessage{}.name(std::string(length, 'K')).octets));
    EXPECT_EQ(name_hash(name, 1), name_hash(TestMessage{}.name(std::string(length, 'K')).octets, 1));
    for (std::size_t at = 1; at <= length; ++at) {
      auto other = name;
      other[at] = 'x';
      EXPECT_FALSE(names_equal(name, other)) << length << ' ' << at;
      EXPECT_NE(name_hash(name, 1), name_hash(other, 1)) << length << ' ' << at;
    }
  }
  EXPECT_TRUE(names_equal(wire("."), wire(".")));
}

TEST(Name, NamesOfDifferentLengthDiffer) {
  EXPECT_FALSE(names_equal(wire("a.example"), wire("a.example.x")));
  EXPECT_FALSE(names_equal(wire("ab.c"), wire("a.bc")));
}

TEST(Name, TheHashDependsOnTheSeedAndSpreadsOverAllBits) {
  std::set<std::uint64_t> low;
  std::set<std::uint64_t> high;
  for (int i = 0; i < 4096; ++i) {
    const auto name = wire("host" + std::to_string(i) + ".example.com");
    EXPECT_NE(name_hash(name, 1), name_hash(name, 2));
    low.insert(name_hash(name, 1) & 0xFFFF);
    high.insert(name_hash(name, 1) >> 48);
  }
  // 4,096 balls into 65,536 bins fill 3,971 on average, deviation 11.
  EXPECT_GT(low.size(), 3900U);
  EXPECT_GT(high.size(), 3900U);
}

TEST(Name, OneChangedBitOfANameChangesHalfOfTheHash) {
  const auto name = wire("api1.east.example.com");
  double changed = 0;
  int cases = 0;
  for (std::size_t at = 0; at < name.size(); ++at) {
    for (const unsigned bit : {0U, 1U, 2U, 3U, 4U}) {
      auto other = name;
      other[at] = static_cast<std::uint8_t>(other[at] ^ (1U << bit));
      changed += std::popcount(name_hash(name, 3) ^ name_hash(other, 3));
      ++cases;
    }
  }
  EXPECT_NEAR(changed / cases, 32, 1.5);
}

TEST(Name, WireNameSizeFindsTheEndOrNothing) {
  const auto size = [](std::vector<std::uint8_t> octets) { return wire_name_size(octets); };
  EXPECT_EQ(size({0}), 1U);
  EXPECT_EQ(size({1, 'a', 0, 9, 9}), 3U);
  EXPECT_EQ(size({}), 0U);
  EXPECT_EQ(size({1, 'a'}), 0U);
  EXPECT_EQ(size({2, 'a', 0}), 0U);
  EXPECT_EQ(size({1, 'a', 0xC0, 0}), 0U);
  EXPECT_EQ(size({0x40, 0}), 0U);
  std::vector<std::uint8_t> longest;
  for (int i = 0; i < 127; ++i) longest.insert(longest.end(), {1, 'a'});
  longest.push_back(0);
  EXPECT_EQ(size(longest), 255U);
  longest.insert(longest.begin(), {1, 'a'});
  EXPECT_EQ(size(longest), 0U);
}

}  // namespace
}  // namespace har::dns
