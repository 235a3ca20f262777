#include "dns/reader.h"

#include <gtest/gtest.h>

#include "dns/test_message.h"

namespace har::dns {
namespace {

std::string expanded(std::span<const std::uint8_t> message, std::size_t position) {
  Reader reader(message, position);
  WireName name;
  reader.expand_name(name);
  EXPECT_EQ(reader.failed(), name.size == 0);
  return reader.failed() ? "failed" : name_to_text(name.span());
}

TEST(Reader, ReadsBigEndian) {
  const TestMessage message = TestMessage{}.raw({1, 2, 3, 4, 5, 6, 7});
  Reader reader(message);
  EXPECT_EQ(reader.u8(), 1);
  EXPECT_EQ(reader.u16(), 0x0203);
  EXPECT_EQ(reader.u32(), 0x04050607U);
  EXPECT_EQ(reader.left(), 0U);
  EXPECT_FALSE(reader.failed());
}

TEST(Reader, AnErrorSticks) {
  const TestMessage message = TestMessage{}.raw({1, 2, 3});
  Reader reader(message);
  reader.u16();
  EXPECT_EQ(reader.u16(), 0);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.u8(), 0);  // one octet is still there, but who failed reads nothing
  EXPECT_EQ(reader.left(), 0U);
  EXPECT_TRUE(reader.plain_name().empty());
}

TEST(Reader, APositionBeyondTheEndFails) {
  const TestMessage message = TestMessage{}.raw({1});
  EXPECT_TRUE(Reader(message, 2).failed());
  EXPECT_FALSE(Reader(message, 1).failed());
}

TEST(Reader, ANameMayPointBack) {
  const TestMessage message = TestMessage{}.name("b.c").u8(1).raw({'a', 0xC0, 0}).u8(9);
  EXPECT_EQ(expanded(message, 5), "a.b.c");
  Reader reader(message, 5);
  WireName name;
  reader.expand_name(name);
  EXPECT_EQ(reader.u8(), 9);  // the reader stands behind the first pointer
  Reader skipper(message, 5);
  skipper.skip_name();
  EXPECT_EQ(skipper.u8(), 9);
}

TEST(Reader, APointerMayPointToAPointer) {
  EXPECT_EQ(expanded(TestMessage{}.name("c").raw({1, 'b', 0xC0, 0}).raw({1, 'a', 0xC0, 3}), 7), "a.b.c");
}

TEST(Reader, PointersToThemselvesForwardOrRoundInCirclesFail) {
  EXPECT_EQ(expanded(TestMessage{}.raw({0xC0, 0}), 0), "failed");
  EXPECT_EQ(expanded(TestMessage{}.raw({1, 'a', 0xC0, 0}), 0), "failed");
  EXPECT_EQ(expanded(TestMessage{}.raw({0xC0, 2, 0}), 0), "failed");
  EXPECT_EQ(expanded(TestMessage{}.raw({0xC0, 2, 1, 'a', 0, 0xC0, 0}), 5), "failed");  // back, then forward
  EXPECT_EQ(expanded(TestMessage{}.raw({0xC0, 2, 0xC0, 0}), 2), "failed");
  EXPECT_EQ(expanded(TestMessage{}.raw({1, 'a', 0xC0, 4, 0xC0, 0}), 4), "failed");
}

TEST(Reader, APointerCutShortFails) {
  EXPECT_EQ(expanded(TestMessage{}.raw({0, 0xC0}), 1), "failed");
  const TestMessage cut = TestMessage{}.raw({0xC0});
  Reader reader(cut);
  reader.skip_name();
  EXPECT_TRUE(reader.failed());
}

TEST(Reader, ReservedLabelTypesFail) {
  for (const unsigned kind : {0x40U, 0x80U}) {
    const TestMessage message = TestMessage{}.u8(kind).u8(0).u8(0);
    EXPECT_EQ(expanded(message, 0), "failed");
    Reader reader(message);
    reader.skip_name();
    EXPECT_TRUE(reader.failed());
  }
}

TEST(Reader, ANameOf255OctetsIsReadAndOneOf256IsNot) {
  for (const std::size_t last : {61U, 62U}) {  // 3 * 64 + 1 + last + 1
    TestMessage message;
    for (int i = 0; i < 3; ++i) message.u8(63).raw(std::vector<std::uint8_t>(63, 'x'));
    message.u8(static_cast<unsigned>(last)).raw(std::vector<std::uint8_t>(last, 'y')).u8(0);
    const bool good = last == 61;
    Reader expander(message);
    WireName name;
    expander.expand_name(name);
    EXPECT_EQ(expander.failed(), !good);
    EXPECT_EQ(name.size, good ? 255U : 0U);
    Reader skipper(message);
    skipper.skip_name();
    EXPECT_EQ(skipper.failed(), !good);
    EXPECT_EQ(Reader(message).plain_name().size(), good ? 255U : 0U);
  }
}

TEST(Reader, ANameThatPointersMakeTooLongFails) {
  TestMessage message;
  for (int i = 0; i < 3; ++i) message.u8(63).raw(std::vector<std::uint8_t>(63, 'x'));
  message.u8(0);
  const std::size_t at = message.octets.size();
  message.u8(62).raw(std::vector<std::uint8_t>(62, 'y')).raw({0xC0, 0});
  EXPECT_EQ(expanded(message, at), "failed");
  EXPECT_NE(expanded(message, 0), "failed");
}

TEST(Reader, ARecordWhoseDataIsCutShortFails) {
  const TestMessage message = TestMessage{}.record(kTypeA, 5, 4).raw({1, 2, 3});
  Reader reader(message);
  EXPECT_TRUE(read_record(reader).data.empty());
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace har::dns
