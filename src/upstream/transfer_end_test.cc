#include "upstream/transfer_end.h"

#include <gtest/gtest.h>

#include <string>

#include "dns/test_message.h"
#include "dns/types.h"

namespace har::upstream {
namespace {

using dns::TestMessage;
using Verdict = TransferEnd::Verdict;

TestMessage& soa(TestMessage& message, std::uint32_t serial) {
  return message.name("zone").record(dns::kTypeSoa, 60, 22).u8(0).u8(0).u32(serial).u32(1).u32(1).u32(1).u32(1);
}

TestMessage axfr() { return TestMessage().header(1, 0, 1).question("zone", dns::kTypeAxfr); }
TestMessage ixfr(std::uint32_t serial) {
  TestMessage message = TestMessage().header(1, 0, 1, 0, 1).question("zone", dns::kTypeIxfr);
  return soa(message, serial);
}
// Records: a digit is a SOA with that serial, 'a' an address.
TestMessage message(const std::string& records, unsigned type = dns::kTypeAxfr, unsigned rcode = 0) {
  TestMessage out = TestMessage().header(1, 0x8400 | rcode, 1, static_cast<unsigned>(records.size()));
  out.question("zone", type);
  for (const char record : records) {
    if (record == 'a') {
      out.a("host.zone", 60, {192, 0, 2, 1});
    } else {
      soa(out, static_cast<std::uint32_t>(record - '0'));
    }
  }
  return out;
}

TEST(TransferEnd, AnAxfrEndsWithTheSecondSoa) {
  TransferEnd end(axfr());
  EXPECT_EQ(end.take(message("5aa")), Verdict::kMore);
  EXPECT_EQ(end.take(message("aaa")), Verdict::kMore);
  EXPECT_EQ(end.take(message("a5")), Verdict::kLast);
}

TEST(TransferEnd, AnAxfrMayFitIntoOneMessageOrHaveARecordInEach) {
  EXPECT_EQ(TransferEnd(axfr()).take(message("5a5")), Verdict::kLast);
  EXPECT_EQ(TransferEnd(axfr()).take(message("55")), Verdict::kLast);
  TransferEnd end(axfr());
  EXPECT_EQ(end.take(message("5")), Verdict::kMore);
  EXPECT_EQ(end.take(message("a")), Verdict::kMore);
  EXPECT_EQ(end.take(message("5")), Verdict::kLast);
}

TEST(TransferEnd, AnIxfrOfOneWhoIsUpToDateIsASingleSoa) {
  EXPECT_EQ(TransferEnd(ixfr(5)).take(message("5", dns::kTypeIxfr)), Verdict::kLast);
  EXPECT_EQ(TransferEnd(ixfr(6)).take(message("5", dns::kTypeIxfr)), Verdict::kLast);
  EXPECT_EQ(TransferEnd(ixfr(0x7FFFFFF0)).take(message("5", dns::kTypeIxfr)), Verdict::kLast);
}

TEST(TransferEnd, ASingleSoaThatIsNewerBeginsAnIxfr) {
  TransferEnd end(ixfr(3));
  EXPECT_EQ(end.take(message("5", dns::kTypeIxfr)), Verdict::kMore);
  EXPECT_EQ(end.take(message("3a5a", dns::kTypeIxfr)), Verdict::kMore);
  EXPECT_EQ(end.take(message("5", dns::kTypeIxfr)), Verdict::kLast);
}

TEST(TransferEnd, TheDifferencesOfAnIxfrEndWithTheNewestSoaAfterTheLastAddition) {
  EXPECT_EQ(TransferEnd(ixfr(3)).take(message("53a4aa4a5a5", dns::kTypeIxfr)), Verdict::kLast);
  TransferEnd end(ixfr(3));
  EXPECT_EQ(end.take(message("53a4aa", dns::kTypeIxfr)), Verdict::kMore);
  EXPECT_EQ(end.take(message("4a5a", dns::kTypeIxfr)), Verdict::kMore);  // this 5 begins the last additions
  EXPECT_EQ(end.take(message("a5", dns::kTypeIxfr)), Verdict::kLast);
}

TEST(TransferEnd, AnIxfrMayBeAWholeZone) {
  TransferEnd end(ixfr(3));
  EXPECT_EQ(end.take(message("5aa", dns::kTypeIxfr)), Verdict::kMore);
  EXPECT_EQ(end.take(message("5", dns::kTypeIxfr)), Verdict::kLast);
}

TEST(TransferEnd, AnErrorOrAnAnswerThatIsNoTransferIsTheEnd) {
  EXPECT_EQ(TransferEnd(axfr()).take(message("", dns::kTypeAxfr, dns::kRefused)), Verdict::kLast);
  EXPECT_EQ(TransferEnd(axfr()).take(message("")), Verdict::kLast);
  EXPECT_EQ(TransferEnd(axfr()).take(message("aa")), Verdict::kLast);
  TransferEnd end(axfr());
  EXPECT_EQ(end.take(message("5a")), Verdict::kMore);
  EXPECT_EQ(end.take(message("", dns::kTypeAxfr, dns::kServFail)), Verdict::kLast);
}

TEST(TransferEnd, WhatCannotBeReadLeavesTheEndUnclear) {
  TransferEnd end(axfr());
  const TestMessage whole = message("5aa");
  EXPECT_EQ(end.take(std::span(whole.octets).first(whole.octets.size() - 3)), Verdict::kUnclear);
  EXPECT_EQ(end.take(message("5")), Verdict::kUnclear);
}

}  // namespace
}  // namespace har::upstream
