#include "front/udp_sender.h"

#include <gtest/gtest.h>
#include <netinet/udp.h>

#include <algorithm>
#include <map>

#include "front/test_sockets.h"

namespace har::front {
namespace {

// Messages as UdpBatch and UdpOutbox make them. Each names itself in its octets.
class Messages {
 public:
  void add(const net::Fd& client, std::size_t size) {
    Message& m = messages_[count_];
    m.to = net::SocketAddress(local_of(client.get()));
    m.octets.assign(size, 'x');
    const std::string name = std::to_string(count_) + ":";
    std::copy_n(name.begin(), std::min(name.size(), size), m.octets.begin());
    m.part = {m.octets.data(), size};
    headers_[count_].msg_hdr = {&m.to, m.to.size(), &m.part, 1, nullptr, 0, 0};
    sent_[local_of(client.get()).port].push_back(m.octets);
    ++count_;
  }
  void to_port_0() { messages_[count_ - 1].to.v4.sin_port = 0; }
  std::span<mmsghdr> all() { return std::span(headers_).first(count_); }
  std::vector<std::string> sent_to(const net::Fd& client) { return sorted(sent_[local_of(client.get()).port]); }

  static std::vector<std::string> sorted(std::vector<std::string> texts) {
    std::sort(texts.begin(), texts.end());
    return texts;
  }

 private:
  struct Message {
    net::SocketAddress to;
    std::string octets;
    iovec part{};
  };
  std::array<Message, UdpSender::kMost> messages_;
  std::array<mmsghdr, UdpSender::kMost> headers_{};
  std::map<std::uint16_t, std::vector<std::string>> sent_;
  std::size_t count_ = 0;
};

// What comes to a client, a read each: as many as are expected, and what waits behind them.
std::vector<std::string> heard(const net::Fd& client, std::size_t expected) {
  std::vector<std::string> out;
  std::array<char, 70'000> buffer;
  pollfd ready{client.get(), POLLIN, 0};
  while (poll(&ready, 1, out.size() < expected ? 5000 : 0) == 1) {
    const ssize_t got = recv(client.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got >= 0) out.emplace_back(buffer.data(), static_cast<std::size_t>(got));
  }
  return out;
}

// A client that is shown what was joined as it came.
void see_joined(const net::Fd& client) {
  const int on = 1;
  ASSERT_EQ(setsockopt(client.get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on), 0);
}

class UdpSenderTest : public ::testing::TestWithParam<const char*> {
 protected:
  UdpSenderTest() {
    if (!sender_.joins()) skip_ = "this kernel has no UDP_SEGMENT";
  }
  void SetUp() override {
    if (skip_ != nullptr) GTEST_SKIP() << skip_;
  }
  void send(const net::Fd& from, bool loopback = true) { sender_.send(from.get(), loopback, messages_.all()); }

  UdpSender sender_;
  Messages messages_;
  const char* skip_ = nullptr;
};

TEST_P(UdpSenderTest, EachOfManyClientsHearsEachOfItsRepliesOnceAndWhole) {
  const net::Fd server = bound(SOCK_DGRAM, at(GetParam()));
  std::array<net::Fd, 3> clients;
  for (net::Fd& client : clients) client = bound(SOCK_DGRAM, at(GetParam()));
  const std::array<std::size_t, 8> sizes{60, 60, 72, 1, 60, 1232, 1233, 4000};
  for (std::size_t i = 0; i < UdpSender::kMost; ++i) messages_.add(clients[i * i % 3], sizes[i * 5 % sizes.size()]);
  send(server);
  for (net::Fd& client : clients) {
    const auto sent = messages_.sent_to(client);
    EXPECT_EQ(Messages::sorted(heard(client, sent.size())), sent);
  }
}
INSTANTIATE_TEST_SUITE_P(Families, UdpSenderTest, ::testing::Values("127.0.0.1", "::1"));

TEST_F(UdpSenderTest, RepliesOfOneSizeToOneClientLeaveTogetherAndAShorterOneLast) {
  const net::Fd server = bound(SOCK_DGRAM, at("127.0.0.1")), client = bound(SOCK_DGRAM, at("127.0.0.1"));
  see_joined(client);
  for (const std::size_t size : {50U, 60U, 60U, 60U, 60U, 60U, 60U, 60U}) messages_.add(client, size);
  send(server);
  const auto got = heard(client, 1);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].size(), 7 * 60U + 50U);
  EXPECT_TRUE(got[0].starts_with("1:") && got[0].substr(7 * 60).starts_with("0:"));
}

TEST_F(UdpSenderTest, FewAtATimeAreSentAsTheyAre) {
  const net::Fd server = bound(SOCK_DGRAM, at("127.0.0.1")), client = bound(SOCK_DGRAM, at("127.0.0.1"));
  see_joined(client);
  for (int i = 0; i < 7; ++i) messages_.add(client, 60);
  send(server);
  EXPECT_EQ(heard(client, 7).size(), 7U);
}

TEST_F(UdpSenderTest, WhatMayLeaveTheHostIsSentAsItIs) {
  const net::Fd server = bound(SOCK_DGRAM, at("0.0.0.0")), client = bound(SOCK_DGRAM, at("127.0.0.1"));
  see_joined(client);
  for (int i = 0; i < 9; ++i) messages_.add(client, 60);
  send(server, false);
  EXPECT_EQ(heard(client, 9).size(), 9U);
}

TEST_F(UdpSenderTest, WhereNothingCanBeJoinedAllLeaveOneByOne) {
  const net::Fd server = bound(SOCK_DGRAM, at("127.0.0.1"));
  const net::Fd client = bound(SOCK_DGRAM, at("127.0.0.1")), other = bound(SOCK_DGRAM, at("127.0.0.1"));
  const int on = 1;
  ASSERT_EQ(setsockopt(server.get(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);  // then the kernel cuts nothing
  for (int i = 0; i < 20; ++i) messages_.add(i % 4 == 0 ? other : client, 60);
  send(server);
  EXPECT_EQ(Messages::sorted(heard(client, 15)), messages_.sent_to(client));
  EXPECT_EQ(Messages::sorted(heard(other, 5)), messages_.sent_to(other));
}

TEST_F(UdpSenderTest, AClientThatCannotBeReachedCostsNobodyElseTheReplyNorTheJoining) {
  const net::Fd server = bound(SOCK_DGRAM, at("127.0.0.1"));
  const net::Fd client = bound(SOCK_DGRAM, at("127.0.0.1")), nobody = bound(SOCK_DGRAM, at("127.0.0.1"));
  see_joined(client);
  for (int i = 0; i < 20; ++i) {
    messages_.add(i % 2 == 0 ? nobody : client, 60);
    if (i % 2 == 0) messages_.to_port_0();
  }
  send(server);
  EXPECT_EQ(heard(client, 1).size(), 1U);
  EXPECT_TRUE(sender_.joins());
}

}  // namespace
}  // namespace har::front
