#include "dns/query.h"

#include <gtest/gtest.h>

#include "dns/test_message.h"

namespace har::dns {
namespace {

using Status = Query::Status;

TestMessage plain(unsigned additional = 0) {
  return TestMessage{}.header(0x1234, kRd, 1, 0, 0, additional).question("wWw.Example", kTypeA);
}

TEST(Query, APlainQueryIsReadInPlace) {
  const TestMessage packet = plain();
  const Query query = parse_query(packet);
  EXPECT_EQ(query.status, Status::kOk);
  EXPECT_EQ(query.id, 0x1234);
  EXPECT_EQ(query.flags, kRd);
  EXPECT_EQ(query.opcode, kOpcodeQuery);
  EXPECT_EQ(query.type, kTypeA);
  EXPECT_EQ(query.qclass, kClassIn);
  EXPECT_EQ(query.name.data(), packet.octets.data() + 12);
  EXPECT_EQ(name_to_text(query.name), "wWw.Example");
  EXPECT_EQ(query.question.data(), packet.octets.data() + 12);
  EXPECT_EQ(query.question.size(), query.name.size() + 4);
  EXPECT_FALSE(query.edns.present);
  EXPECT_FALSE(query.edns.malformed);
}

TEST(Query, LessThanAHeaderAndRepliesAreNoQueries) {
  TestMessage packet = plain();
  for (std::size_t n = 0; n < 12; ++n) {
    EXPECT_EQ(parse_query(std::span(packet.octets).first(n)).status, Status::kNoQuery) << n;
  }
  packet.octets[2] |= 0x80;
  EXPECT_EQ(parse_query(packet).status, Status::kNoQuery);
}

TEST(Query, AHeaderAloneHasABadQuestion) {
  EXPECT_EQ(parse_query(TestMessage{}.header(1, kRd, 1)).status, Status::kBadQuestion);
}

TEST(Query, EveryQuestionCutShortIsBad) {
  const TestMessage packet = plain();
  for (std::size_t n = 12; n < packet.octets.size(); ++n) {
    const Query query = parse_query(std::span(packet.octets).first(n));
    EXPECT_EQ(query.status, Status::kBadQuestion) << n;
    EXPECT_TRUE(query.question.empty());
    EXPECT_TRUE(query.name.empty());
  }
}

TEST(Query, OfOtherOpcodesOnlyTheHeaderIsRead) {
  for (unsigned opcode = 1; opcode < 16; ++opcode) {
    const Query query = parse_query(TestMessage{}.header(7, opcode << 11 | kRd, 9, 9, 9, 9).u8(0xFF));
    EXPECT_EQ(query.status, Status::kOtherOpcode);
    EXPECT_EQ(query.opcode, opcode);
    EXPECT_EQ(query.id, 7);
    EXPECT_TRUE(query.question.empty());
  }
}

TEST(Query, MoreOrFewerThanOneQuestionIsBadButItsOptIsSeen) {
  const Query two =
      parse_query(TestMessage{}.header(1, 0, 2, 0, 0, 1).question("a", kTypeA).question("b", kTypeA).opt(1400, 0x8000));
  EXPECT_EQ(two.status, Status::kBadQuestion);
  EXPECT_TRUE(two.question.empty());
  EXPECT_TRUE(two.edns.present);
  EXPECT_TRUE(two.edns.dnssec_ok);
  const Query none = parse_query(TestMessage{}.header(1, 0, 0, 0, 0, 1).opt(1400));
  EXPECT_EQ(none.status, Status::kBadQuestion);
  EXPECT_TRUE(none.edns.present);
  EXPECT_EQ(parse_query(TestMessage{}.header(1, 0, 0xFFFF).question("a", kTypeA)).status, Status::kBadQuestion);
}

TEST(Query, CompressionAndReservedLabelsInTheQuestionAreBad) {
  EXPECT_EQ(parse_query(TestMessage{}.header(1, 0, 1).raw({1, 'a', 0xC0, 12}).u16(1).u16(1)).status,
            Status::kBadQuestion);
  EXPECT_EQ(parse_query(TestMessage{}.header(1, 0, 1).raw({0x41, 'a', 0}).u16(1).u16(1)).status, Status::kBadQuestion);
}

TEST(Query, TheRootCanBeAsked) {
  const Query query = parse_query(TestMessage{}.header(1, 0, 1).question("", kTypeNs));
  EXPECT_EQ(query.status, Status::kOk);
  EXPECT_EQ(query.name.size(), 1U);
}

TEST(Query, OptIsRead) {
  const Query query = parse_query(plain(1).opt(4096, 0x00018000));
  EXPECT_TRUE(query.edns.present);
  EXPECT_FALSE(query.edns.malformed);
  EXPECT_EQ(query.edns.version, 1);
  EXPECT_TRUE(query.edns.dnssec_ok);
  EXPECT_EQ(query.edns.udp_size, 4096);
}

TEST(Query, OptStandsAnywhereAmongTheAdditionalRecords) {
  for (const bool first : {true, false}) {
    TestMessage packet = plain(3);
    if (first) packet.opt(1400);
    packet.a("x", 1, {1, 2, 3, 4}).a("y", 1, {1, 2, 3, 4});
    if (!first) packet.opt(1400);
    const Query query = parse_query(packet);
    EXPECT_EQ(query.status, Status::kOk);
    EXPECT_TRUE(query.edns.present);
    EXPECT_FALSE(query.edns.malformed);
    EXPECT_EQ(query.edns.udp_size, 1400);
  }
}

TEST(Query, AnswerAndAuthorityRecordsInAQueryAreWalked) {
  const Query query = parse_query(
      TestMessage{}.header(1, 0, 1, 1, 1, 1).question("z", kTypeIxfr).a("x", 1, {1, 2, 3, 4}).soa("z", 1, 1).opt(700));
  EXPECT_EQ(query.status, Status::kOk);
  EXPECT_TRUE(query.edns.present);
  EXPECT_FALSE(query.edns.malformed);
  EXPECT_EQ(query.edns.udp_size, 700);
}

TEST(Query, CompressedOwnersOfRecordsAreWalkedPast) {
  const Query query = parse_query(plain(2).raw({0xC0, 12}).record(kTypeA, 1, 4).raw({1, 2, 3, 4}).opt(1232));
  EXPECT_TRUE(query.edns.present);
  EXPECT_FALSE(query.edns.malformed);
}

TEST(Query, ASecondOptIsMalformedAndTheFirstOneStands) {
  const Query query = parse_query(plain(2).opt(1400, 0x8000).opt(600));
  EXPECT_TRUE(query.edns.present);
  EXPECT_TRUE(query.edns.malformed);
  EXPECT_EQ(query.edns.udp_size, 1400);
  EXPECT_TRUE(query.edns.dnssec_ok);
}

TEST(Query, AnOptWithAnOwnerOrOutOfPlaceIsMalformed) {
  const Query owned = parse_query(plain(1).name("x").record(kTypeOpt, 0, 0, 1400));
  EXPECT_TRUE(owned.edns.present);
  EXPECT_TRUE(owned.edns.malformed);
  const Query misplaced = parse_query(TestMessage{}.header(1, 0, 1, 1).question("x", kTypeA).opt(1400));
  EXPECT_TRUE(misplaced.edns.present);
  EXPECT_TRUE(misplaced.edns.malformed);
}

TEST(Query, OptionsMustAddUp) {
  EXPECT_FALSE(parse_query(plain(1).opt(1400, 0, {0, 10, 0, 2, 7, 7, 0, 3, 0, 0})).edns.malformed);
  EXPECT_TRUE(parse_query(plain(1).opt(1400, 0, {0, 10, 0, 3, 7, 7})).edns.malformed);
  EXPECT_TRUE(parse_query(plain(1).opt(1400, 0, {0, 10, 0})).edns.malformed);
  EXPECT_TRUE(parse_query(plain(1).opt(1400, 0, {0})).edns.malformed);
}

TestMessage with_cookie(std::size_t size, bool adds_up = true) {
  TestMessage options = TestMessage{}.u16(3).u16(1).u8('n').u16(kOptionCookie).u16(static_cast<unsigned>(size));
  for (std::size_t i = 0; i < size; ++i) options.u8(static_cast<unsigned>(i + 1));
  if (!adds_up) options.u8(0);
  TestMessage message = plain(1).u8(0).record(kTypeOpt, 0, options.octets.size(), 1400);
  return message.raw(options.octets);
}

TEST(Query, ACookieIsReadWithAServersPartAndWithout) {
  for (const std::size_t size : {8U, 16U, 24U, 40U}) {
    const TestMessage message = with_cookie(size);
    const Query query = parse_query(message);
    EXPECT_FALSE(query.edns.malformed);
    ASSERT_EQ(query.edns.cookie.size(), size);
    EXPECT_EQ(query.edns.cookie[0], 1);
  }
  for (const std::size_t size : {0U, 7U, 9U, 15U, 41U}) {
    EXPECT_TRUE(parse_query(with_cookie(size)).edns.cookie.empty()) << size;
    EXPECT_FALSE(parse_query(with_cookie(size)).edns.malformed) << size;
  }
  EXPECT_TRUE(parse_query(with_cookie(16, false)).edns.cookie.empty());
}

TEST(Query, OptionsOfALaterVersionAreNotJudged) {
  const Query query = parse_query(plain(1).opt(1400, 0x00010000, {0}));
  EXPECT_EQ(query.edns.version, 1);
  EXPECT_FALSE(query.edns.malformed);
}

TEST(Query, RecordsThatCannotBeReadAreMalformedWithoutBeingEdns) {
  const Query promised = parse_query(plain(1));
  EXPECT_EQ(promised.status, Status::kOk);
  EXPECT_FALSE(promised.edns.present);
  EXPECT_TRUE(promised.edns.malformed);
  const Query half = parse_query(plain(2).opt(1400).u8(0).u16(kTypeOpt));
  EXPECT_TRUE(half.edns.present);
  EXPECT_TRUE(half.edns.malformed);
}

TEST(Query, CountsThatPromiseTheWorldEndWithThePacket) {
  TestMessage packet = TestMessage{}.header(1, 0, 1, 0xFFFF, 0xFFFF, 0xFFFF).question("x", kTypeA);
  while (packet.octets.size() + 11 <= kMaxMessage) packet.u8(0).record(0, 0, 0);
  const Query query = parse_query(packet);
  EXPECT_EQ(query.status, Status::kOk);
  EXPECT_TRUE(query.edns.malformed);
}

TEST(Query, OctetsBehindTheLastRecordAreIgnored) {
  const Query query = parse_query(plain(1).opt(1400).raw({1, 2, 3}));
  EXPECT_EQ(query.status, Status::kOk);
  EXPECT_TRUE(query.edns.present);
  EXPECT_FALSE(query.edns.malformed);
}

}  // namespace
}  // namespace har::dns
