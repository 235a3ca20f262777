#include "dns/addresses.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>

#include "dns/match.h"
#include "dns/query.h"
#include "dns/test_message.h"

namespace har::dns {
namespace {

using Status = Addresses::Status;

TestMessage reply(unsigned answers, unsigned authorities = 0, unsigned flags = kQr | kRa, unsigned type = kTypeA) {
  return TestMessage{}.header(1, flags, 1, answers, authorities).question("www.example", type);
}
std::string text(const Addresses& addresses) {
  std::string all;
  for (const IpAddress& address : addresses.addresses) all += address.to_string() + " ";
  return all;
}

TEST(Addresses, AreReadInOrderWithTheSmallestTtl) {
  const auto got = read_addresses(reply(3)
                                      .a("www.example", 30, {192, 0, 2, 2})
                                      .a("WWW.example", 20, {192, 0, 2, 1})
                                      .a("www.example", 40, {192, 0, 2, 3}),
                                  kTypeA);
  EXPECT_EQ(got.status, Status::kFound);
  EXPECT_EQ(text(got), "192.0.2.2 192.0.2.1 192.0.2.3 ");
  EXPECT_EQ(got.ttl, 20U);
}

TEST(Addresses, OfIpv6AreRead) {
  const auto got = read_addresses(reply(1, 0, kQr, kTypeAaaa)
                                      .name("www.example")
                                      .record(kTypeAaaa, 5, 16)
                                      .raw({0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}),
                                  kTypeAaaa);
  EXPECT_EQ(got.status, Status::kFound);
  EXPECT_EQ(text(got), "2001:db8::1 ");
}

TEST(Addresses, OfOtherNamesTypesAndClassesAreNotTaken) {
  const auto got = read_addresses(reply(4)
                                      .a("other.example", 1, {192, 0, 2, 1})
                                      .name("www.example")
                                      .record(kTypeTxt, 1, 1)
                                      .u8(0)
                                      .name("www.example")
                                      .record(kTypeA, 1, 4, 3)
                                      .raw({192, 0, 2, 3})
                                      .name("www.example")
                                      .record(kTypeAaaa, 1, 16)
                                      .raw(std::vector<std::uint8_t>(16, 1)),
                                  kTypeA);
  EXPECT_EQ(got.status, Status::kNoData);
  EXPECT_EQ(got.ttl, 0U);
}

TEST(Addresses, DuplicatesCountOnceAndTheLimitHolds) {
  TestMessage message = reply(200);
  for (int i = 0; i < 200; ++i) message.a("www.example", 9, {192, 0, 2, static_cast<std::uint8_t>(i / 2)});
  EXPECT_EQ(read_addresses(message, kTypeA).addresses.size(), 64U);
  EXPECT_EQ(read_addresses(message, kTypeA, 200).addresses.size(), 100U);
  EXPECT_EQ(text(read_addresses(message, kTypeA, 2)), "192.0.2.0 192.0.2.1 ");
}

// Else a name with a hundred addresses would have others, which are not yet known to be up, after each resolution.
TEST(Addresses, OfTooManyTheSameAreKeptHoweverTheReplyIsRotated) {
  const auto rotated = [](int by) {
    TestMessage message = reply(100);
    for (int i = 0; i < 100; ++i) {
      message.a("www.example", 9, {192, 0, 2, static_cast<std::uint8_t>((i + by) % 100)});
    }
    auto addresses = read_addresses(message, kTypeA).addresses;
    std::sort(addresses.begin(), addresses.end());
    return addresses;
  };
  EXPECT_EQ(rotated(0).size(), 64U);
  for (const int by : {1, 37, 99}) EXPECT_EQ(rotated(by), rotated(0)) << by;
}

TEST(Addresses, ACnameChainIsFollowedInAnyOrderAndCase) {
  const std::array<std::function<void(TestMessage&)>, 4> records = {
      [](TestMessage& m) { m.cname("www.example", 50, "a.example"); },
      [](TestMessage& m) { m.cname("A.example", 10, "B.Example"); },
      [](TestMessage& m) { m.cname("b.example", 70, "c.example"); },
      [](TestMessage& m) {
        m.a("C.EXAMPLE", 60, {192, 0, 2, 7});
      }};
  std::array<std::size_t, 4> order = {0, 1, 2, 3};
  do {
    TestMessage message = reply(4);
    for (const std::size_t i : order) records[i](message);
    const auto got = read_addresses(message, kTypeA);
    EXPECT_EQ(got.status, Status::kFound);
    EXPECT_EQ(text(got), "192.0.2.7 ");
    EXPECT_EQ(got.ttl, 10U);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Addresses, TtlsOutsideTheChainDoNotCount) {
  const auto got = read_addresses(
      reply(3).cname("other.example", 1, "x").cname("www.example", 50, "x").a("x", 40, {192, 0, 2, 1}), kTypeA);
  EXPECT_EQ(got.ttl, 40U);
}

TEST(Addresses, OfSeveralCnamesTheFirstCountsAndAnAddressBesideOneWins) {
  const auto two = read_addresses(reply(4)
                                      .cname("www.example", 50, "x")
                                      .cname("www.example", 5, "y")
                                      .a("y", 40, {192, 0, 2, 2})
                                      .a("x", 40, {192, 0, 2, 1}),
                                  kTypeA);
  EXPECT_EQ(text(two), "192.0.2.1 ");
  EXPECT_EQ(two.ttl, 40U);
  const auto both = read_addresses(
      reply(3).cname("www.example", 5, "x").a("x", 4, {192, 0, 2, 1}).a("www.example", 40, {192, 0, 2, 9}), kTypeA);
  EXPECT_EQ(text(both), "192.0.2.9 ");
  EXPECT_EQ(both.ttl, 40U);
}

TEST(Addresses, CompressedNamesAreFollowed) {
  const auto got = read_addresses(reply(2)
                                      .raw({0xC0, 12})
                                      .record(kTypeCname, 9, 4)
                                      .raw({1, 'x', 0xC0, 16})  // x.example
                                      .raw({0xC0, 41})
                                      .record(kTypeA, 9, 4)
                                      .raw({192, 0, 2, 1}),
                                  kTypeA);
  EXPECT_EQ(got.status, Status::kFound);
  EXPECT_EQ(text(got), "192.0.2.1 ");
}

TEST(Addresses, CompressionLoopsFail) {
  const auto got = read_addresses(reply(1).raw({0xC0, 29}).record(kTypeA, 9, 4).raw({192, 0, 2, 1}), kTypeA);
  EXPECT_EQ(got.status, Status::kFailed);
  EXPECT_TRUE(got.addresses.empty());
}

TEST(Addresses, ACnameWithoutAddressIsNoData) {
  const auto bare = read_addresses(reply(1).cname("www.example", 50, "x"), kTypeA);
  EXPECT_EQ(bare.status, Status::kNoData);
  EXPECT_EQ(bare.ttl, 0U);
  EXPECT_EQ(read_addresses(reply(1, 1).cname("www.example", 50, "x").soa("", 30, 40), kTypeA).ttl, 30U);
  EXPECT_EQ(read_addresses(reply(1, 1).cname("www.example", 5, "x").soa("", 30, 40), kTypeA).ttl, 5U);
}

TEST(Addresses, CnameLoopsFail) {
  EXPECT_EQ(read_addresses(reply(1).cname("www.example", 1, "www.example"), kTypeA).status, Status::kFailed);
  EXPECT_EQ(read_addresses(reply(2).cname("www.example", 1, "x").cname("x", 1, "WWW.example"), kTypeA).status,
            Status::kFailed);
}

TEST(Addresses, AChainOfSixteenIsFollowedAndOneOfSeventeenFails) {
  for (const int length : {16, 17}) {
    TestMessage message = reply(static_cast<unsigned>(length) + 1);
    std::string owner = "www.example";
    for (int i = 0; i < length; ++i) {
      const std::string target = "n" + std::to_string(i);
      message.cname(owner, 5, target);
      owner = target;
    }
    message.a(owner, 5, {192, 0, 2, 1});
    EXPECT_EQ(read_addresses(message, kTypeA).status, length == 16 ? Status::kFound : Status::kFailed);
  }
}

TEST(Addresses, NxdomainIsSaidOfTheEndOfTheChainToo) {
  const auto plain = read_addresses(reply(0, 1, kQr | +kNxDomain).soa("example", 60, 20), kTypeA);
  EXPECT_EQ(plain.status, Status::kNxDomain);
  EXPECT_EQ(plain.ttl, 20U);
  EXPECT_EQ(read_addresses(reply(1, 0, kQr | +kNxDomain).cname("www.example", 9, "x"), kTypeA).status,
            Status::kNxDomain);
  EXPECT_EQ(read_addresses(reply(1, 0, kQr | +kNxDomain).a("www.example", 9, {1, 2, 3, 4}), kTypeA).status,
            Status::kFailed);
}

TEST(Addresses, NegativeTtlIsTheSmallerOfTheSoasTwo) {
  EXPECT_EQ(read_addresses(reply(0, 1).soa("example", 60, 20), kTypeA).ttl, 20U);
  EXPECT_EQ(read_addresses(reply(0, 1).soa("example", 10, 20), kTypeA).ttl, 10U);
  EXPECT_EQ(read_addresses(reply(0, 1).soa("example", 10, 0x80000000), kTypeA).ttl, 0U);
  EXPECT_EQ(read_addresses(reply(0), kTypeA).ttl, 0U);
}

TEST(Addresses, ATtlWithTheSignBitIsZero) {
  EXPECT_EQ(read_addresses(reply(1).a("www.example", 0x80000000, {1, 2, 3, 4}), kTypeA).ttl, 0U);
  EXPECT_EQ(read_addresses(reply(1).a("www.example", 0x7FFFFFFF, {1, 2, 3, 4}), kTypeA).ttl, 0x7FFFFFFFU);
  EXPECT_EQ(read_addresses(reply(2).cname("www.example", 0xFFFFFFFF, "x").a("x", 7, {1, 2, 3, 4}), kTypeA).ttl, 0U);
}

TEST(Addresses, AReferralIsNoAnswer) {
  const TestMessage referral = reply(0, 1).name("example").record(kTypeNs, 9, 3).name("n");
  EXPECT_EQ(read_addresses(referral, kTypeA).status, Status::kFailed);
  const TestMessage nodata = reply(0, 2).name("example").record(kTypeNs, 9, 3).name("n").soa("example", 9, 9);
  EXPECT_EQ(read_addresses(nodata, kTypeA).status, Status::kNoData);
}

TEST(Addresses, OtherRcodesAndTruncatedRepliesFail) {
  for (unsigned rcode = 1; rcode < 16; ++rcode) {
    if (rcode == kNxDomain) continue;
    const auto got = read_addresses(reply(1, 0, kQr | rcode).a("www.example", 9, {1, 2, 3, 4}), kTypeA);
    EXPECT_EQ(got.status, Status::kFailed) << rcode;
    EXPECT_TRUE(got.addresses.empty());
  }
  EXPECT_EQ(read_addresses(reply(1, 0, kQr | kTc).a("www.example", 9, {1, 2, 3, 4}), kTypeA).status, Status::kFailed);
}

TEST(Addresses, EveryReplyCutShortFails) {
  const TestMessage whole = reply(2, 1).cname("www.example", 9, "x").a("x", 9, {1, 2, 3, 4}).soa("", 9, 9);
  ASSERT_EQ(read_addresses(whole, kTypeA).status, Status::kFound);
  for (std::size_t n = 0; n < whole.octets.size(); ++n) {
    const auto got = read_addresses(std::span(whole.octets).first(n), kTypeA);
    EXPECT_EQ(got.status, Status::kFailed) << n;
    EXPECT_TRUE(got.addresses.empty()) << n;
  }
}

TEST(Addresses, AnAddressOfTheWrongSizeFails) {
  EXPECT_EQ(read_addresses(reply(1).a("www.example", 9, {1, 2, 3}), kTypeA).status, Status::kFailed);
  EXPECT_EQ(read_addresses(reply(1).a("www.example", 9, {1, 2, 3, 4, 5}), kTypeA).status, Status::kFailed);
}

TEST(Addresses, ACnameOrSoaThatDoesNotFillItsDataFails) {
  EXPECT_EQ(read_addresses(reply(1).name("www.example").record(kTypeCname, 9, 4).raw({1, 'x', 0, 9}), kTypeA).status,
            Status::kFailed);
  EXPECT_EQ(read_addresses(reply(1).name("www.example").record(kTypeCname, 9, 2).raw({1, 'x', 0}), kTypeA).status,
            Status::kFailed);
  EXPECT_EQ(read_addresses(reply(0, 1).name("").record(kTypeSoa, 9, 3).raw({0, 0, 0}), kTypeA).status, Status::kFailed);
}

TEST(Addresses, CountsThatPromiseTheWorldFail) {
  EXPECT_EQ(read_addresses(reply(0xFFFF, 0xFFFF).a("www.example", 9, {1, 2, 3, 4}), kTypeA).status, Status::kFailed);
}

TEST(Addresses, AQuestionCountOtherThanOneFails) {
  EXPECT_EQ(read_addresses(TestMessage{}.header(1, kQr, 0), kTypeA).status, Status::kFailed);
  EXPECT_EQ(read_addresses(TestMessage{}.header(1, kQr, 2).question("a", kTypeA).question("a", kTypeA), kTypeA).status,
            Status::kFailed);
}

TEST(WriteQuery, IsOneQuestionWithRdAndNothingElse) {
  const auto name = *name_to_wire("WWW.example");
  std::array<std::uint8_t, 12 + 255 + 4> out;
  const std::size_t size = write_query(0xABCD, name, kTypeAaaa, out);
  const TestMessage expected = TestMessage{}.header(0xABCD, kRd, 1).question("www.example", kTypeAaaa);
  EXPECT_EQ(std::vector<std::uint8_t>(out.begin(), out.begin() + static_cast<long>(size)), expected.octets);
  EXPECT_EQ(parse_query(std::span(out).first(size)).status, Query::Status::kOk);
}

}  // namespace
}  // namespace har::dns
