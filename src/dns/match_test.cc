#include "dns/match.h"

#include <gtest/gtest.h>

#include "dns/test_message.h"

namespace har::dns {
namespace {

TestMessage asked() { return TestMessage{}.header(0x1234, kRd, 1).question("www.example", kTypeA); }
TestMessage replied(unsigned id, unsigned flags, std::string_view name = "www.example", unsigned type = kTypeA,
                    unsigned qclass = kClassIn) {
  return TestMessage{}.header(id, flags, 1).question(name, type, qclass);
}

TEST(Match, TheSameIdAndQuestionMatch) {
  EXPECT_TRUE(reply_matches(asked(), replied(0x1234, kQr)));
  EXPECT_TRUE(reply_matches(asked(), replied(0x1234, kQr | kAa | kTc | kRa | +kServFail)));
}

TEST(Match, CaseOfTheNameDoesNotMatter) { EXPECT_TRUE(reply_matches(asked(), replied(0x1234, kQr, "WWW.exAMPle"))); }

TEST(Match, AnythingElseThatDiffersDoes) {
  EXPECT_FALSE(reply_matches(asked(), replied(0x1235, kQr)));
  EXPECT_FALSE(reply_matches(asked(), replied(0x1234, 0)));  // a query
  EXPECT_FALSE(reply_matches(asked(), replied(0x1234, kQr | kOpcodeNotify << 11)));
  EXPECT_FALSE(reply_matches(asked(), replied(0x1234, kQr, "ww.example")));
  EXPECT_FALSE(reply_matches(asked(), replied(0x1234, kQr, "www.example.x")));
  EXPECT_FALSE(reply_matches(asked(), replied(0x1234, kQr, "wwx.example")));
  EXPECT_FALSE(reply_matches(asked(), replied(0x1234, kQr, "www.example", kTypeAaaa)));
  EXPECT_FALSE(reply_matches(asked(), replied(0x1234, kQr, "www.example", kTypeA, 3)));
}

TEST(Match, EveryReplyCutShortInTheQuestionFails) {
  const TestMessage reply = replied(0x1234, kQr);
  for (std::size_t n = 0; n < reply.octets.size(); ++n) {
    EXPECT_FALSE(reply_matches(asked(), std::span(reply.octets).first(n))) << n;
  }
}

TEST(Match, TwoQuestionsDoNotMatchOne) {
  TestMessage reply = replied(0x1234, kQr);
  reply.octets[5] = 2;
  reply.question("www.example", kTypeA);
  EXPECT_FALSE(reply_matches(asked(), reply));
}

TEST(Match, WithoutAQuestionOnlyErrorsWithoutRecordsCount) {
  for (unsigned rcode = 0; rcode < 16; ++rcode) {
    const bool error = rcode == kFormErr || rcode == kServFail || rcode == kNotImp || rcode == kRefused;
    EXPECT_EQ(reply_matches(asked(), TestMessage{}.header(0x1234, kQr | rcode, 0)), error) << rcode;
  }
  EXPECT_FALSE(reply_matches(asked(), TestMessage{}.header(0x1235, kQr | +kFormErr, 0)));
  EXPECT_FALSE(reply_matches(asked(), TestMessage{}.header(0x1234, kQr | +kFormErr, 0, 1)));
  EXPECT_FALSE(reply_matches(asked(), TestMessage{}.header(0x1234, kQr | +kFormErr, 0, 0, 1)));
  EXPECT_FALSE(reply_matches(asked(), TestMessage{}.header(0x1234, kQr | +kFormErr, 0, 0, 0, 1)));
}

// As nsd refuses the classes that it does not serve.
TEST(Match, AnErrorWithoutAQuestionMayCarryAnOpt) {
  TestMessage reply = TestMessage{}.header(0x1234, kQr | +kRefused, 0, 0, 0, 1);
  reply.octets.insert(reply.octets.end(), {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0});
  EXPECT_TRUE(reply_matches(asked(), reply));
  reply.octets[14] = 1;  // an A record
  EXPECT_FALSE(reply_matches(asked(), reply));
}

TEST(Match, ForOtherOpcodesAReplyWithoutQuestionCounts) {
  const TestMessage update = TestMessage{}.header(9, kOpcodeUpdate << 11, 1).question("example", kTypeSoa);
  EXPECT_TRUE(reply_matches(update, TestMessage{}.header(9, kQr | kOpcodeUpdate << 11, 0)));
  EXPECT_TRUE(reply_matches(update, replied(9, kQr | kOpcodeUpdate << 11, "EXAMPLE", kTypeSoa)));
  EXPECT_FALSE(reply_matches(update, TestMessage{}.header(9, kQr, 0)));
  EXPECT_FALSE(reply_matches(update, TestMessage{}.header(8, kQr | kOpcodeUpdate << 11, 0)));
  EXPECT_FALSE(reply_matches(update, replied(9, kQr | kOpcodeUpdate << 11, "other", kTypeSoa)));
  const TestMessage stateful = TestMessage{}.header(9, 6U << 11, 0).u16(1).u16(0);  // DSO has no question at all
  EXPECT_TRUE(reply_matches(stateful, TestMessage{}.header(9, kQr | 6U << 11, 0).u16(1).u16(0)));
}

TEST(Match, TheHeadIsRead) {
  const ReplyHead head = read_head(TestMessage{}.header(0xABCD, kQr | kTc | kRa | +kNxDomain, 1, 0x0102));
  EXPECT_EQ(head.id, 0xABCD);
  EXPECT_EQ(head.flags, kQr | kTc | kRa | +kNxDomain);
  EXPECT_EQ(head.rcode, kNxDomain);
  EXPECT_TRUE(head.truncated);
  EXPECT_EQ(head.answers, 0x0102);
  EXPECT_FALSE(read_head(TestMessage{}.header(1, kQr, 1)).truncated);
}

}  // namespace
}  // namespace har::dns
