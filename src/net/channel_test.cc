#include "net/channel.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "net/memory.h"

namespace har::net {
namespace {

TEST(Channel, CarriesWholeMessagesAndDescriptors) {
  auto [ours, theirs] = *Channel::make_pair();
  Channel other(std::move(theirs));
  const Fd memory = *text_to_memory("test", "hello");
  ASSERT_TRUE(ours.send(7, Packer().number(42).text("x y").body(), {memory.get(), memory.get()}));
  ASSERT_TRUE(ours.send(8));
  Message message;
  ASSERT_EQ(other.receive(message, 1000), Channel::Status::kMessage);
  EXPECT_EQ(message.type, 7u);
  Unpacker fields(message.body);
  EXPECT_EQ(fields.number(), 42u);
  EXPECT_EQ(fields.text(), "x y");
  EXPECT_TRUE(fields.ok() && fields.at_end());
  ASSERT_EQ(message.fds.size(), 2u);
  EXPECT_EQ(*memory_to_text(message.fds[1], 100), "hello");
  ASSERT_EQ(other.receive(message, 1000), Channel::Status::kMessage);
  EXPECT_EQ(message.type, 8u);
  EXPECT_TRUE(message.body.empty());
  EXPECT_EQ(other.receive(message, 0), Channel::Status::kNothing);
}

TEST(Channel, SaysWhenThePeerIsGone) {
  auto [ours, theirs] = *Channel::make_pair();
  theirs.reset();
  Message message;
  EXPECT_EQ(ours.receive(message, 1000), Channel::Status::kClosed);
  EXPECT_FALSE(ours.send(1));
}

TEST(Channel, WhatAPeerSaidBeforeItsEndArrivesThoughItLeftMessagesUnread) {
  auto [ours, theirs] = *Channel::make_pair();
  Channel other(std::move(theirs));
  ASSERT_TRUE(ours.send(1));
  ASSERT_TRUE(other.send(2, "last words"));
  other.close();
  Message message;
  ASSERT_EQ(ours.receive(message, 0), Channel::Status::kMessage);
  EXPECT_EQ(message.body, "last words");
  EXPECT_EQ(ours.receive(message, 0), Channel::Status::kClosed);
}

TEST(Channel, AStuckPeerDoesNotBlockTheSenderForEver) {
  auto [ours, theirs] = *Channel::make_pair();
  const std::string body(Message::kMaxBody, 'x');
  bool sent = true;
  for (int i = 0; sent && i < 1000; ++i) sent = ours.send(1, body, {}, 1);
  EXPECT_FALSE(sent);
}

TEST(Channel, ALongMessageIsCutAtItsLimitAndAnOctetIsNone) {
  auto [ours, theirs] = *Channel::make_pair();
  const std::string octets(Message::kMaxBody + 5'000, 'x');
  ASSERT_EQ(send(theirs.get(), octets.data(), octets.size(), 0), static_cast<ssize_t>(octets.size()));
  ASSERT_EQ(send(theirs.get(), octets.data(), 9, 0), 9);
  ASSERT_EQ(send(theirs.get(), octets.data(), 1, 0), 1);
  Message message;
  ASSERT_EQ(ours.receive(message, 1000), Channel::Status::kMessage);
  EXPECT_EQ(message.body.size(), Message::kMaxBody);
  ASSERT_EQ(ours.receive(message, 1000), Channel::Status::kMessage);
  EXPECT_EQ(message.body, "xxxxx");
  EXPECT_EQ(ours.receive(message, 1000), Channel::Status::kClosed);
}

TEST(Unpacker, AShortBodyIsAnErrorThatSticks) {
  const std::string body = Packer().number(1'000'000).body();
  Unpacker fields(body);
  EXPECT_EQ(fields.text(), "");
  EXPECT_EQ(fields.number(), 0u);
  EXPECT_FALSE(fields.ok());
}

TEST(Memory, CannotBeResizedAndReadOnlyStaysReadOnly) {
  const Fd memory = *make_memory("test", 5000);
  const auto writable = *Mapping::map(memory, Mapping::Mode::kReadWrite);
  EXPECT_EQ(writable.bytes().size() % 4096, 0u);
  EXPECT_NE(ftruncate(memory.get(), 1), 0);
  const Fd reader = *reopen_read_only(memory);
  EXPECT_FALSE(Mapping::map(reader, Mapping::Mode::kReadWrite));
  const auto mapped = *Mapping::map(reader, Mapping::Mode::kReadOnly);
  writable.bytes()[4999] = std::byte{7};
  EXPECT_EQ(mapped.bytes()[4999], std::byte{7});
}

TEST(Memory, ATextOverTheLimitIsRefused) { EXPECT_FALSE(memory_to_text(*text_to_memory("test", "12345"), 4)); }

}  // namespace
}  // namespace har::net
