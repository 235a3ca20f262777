#include "front/udp_sender.h"

#include <gtest/gtest.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "front/test_sockets.h"

namespace har::front {
namespace {

// Messages as UdpBatch and UdpOutbox make them. Each names itself in its octets.
class Messages {
 public:
  void add(const net::Fd& client, std::size_t size, const char* from = nullptr) {
    Message& m = messages_[count_];
    m.to = net::SocketAddress(local_of(client.get()));
    m.octets.assign(size, 'x');
    const std::string name = std::to_string(count_) + ":";
    std::copy_n(name.begin(), std::min(name.size(), size), m.octets.begin());
    m.part = {m.octets.data(), size};
    msghdr& header = headers_[count_].msg_hdr;
    header = {&m.to, m.to.size(), &m.part, 1, nullptr, 0, 0};
    if (from != nullptr) {
      in_pktinfo info{};
      info.ipi_spec_dst.s_addr = net::SocketAddress(at(from)).v4.sin_addr.s_addr;
      auto* control = reinterpret_cast<cmsghdr*>(m.info.bytes.data());
      control->cmsg_level = IPPROTO_IP;
      control->cmsg_type = IP_PKTINFO;
      control->cmsg_len = CMSG_LEN(sizeof info);
      std::memcpy(CMSG_DATA(control), &info, sizeof info);
      header.msg_control = &m.info;
      header.msg_controllen = CMSG_SPACE(sizeof info);
    }
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
    PacketInfo info{};
  };
  std::array<Message, UdpSender::kMost> messages_;
  std::array<mmsghdr, UdpSender::kMost> headers_{};
  std::map<std::uint16_t, std::vector<std::string>> sent_;
  std::size_t count_ = 0;
};

// What waits at a client, a read each; loopback has delivered when the sender's call returns.
std::vector<std::string> heard(const net::Fd& client, std::vector<IpAddress>* senders = nullptr) {
  std::vector<std::string> out;
  std::array<char, 70'000> buffer;
  net::SocketAddress from;
  socklen_t size = sizeof from;
  for (ssize_t got;
       (got = recvfrom(client.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, &from.generic, &size)) >= 0;
       size = sizeof from) {
    out.emplace_back(buffer.data(), static_cast<std::size_t>(got));
    if (senders != nullptr) senders->push_back(from.to_ip_port().ip);
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
  void send(const net::Fd& from, Messages& messages) { sender_.send(from.get(), messages.all()); }

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
  send(server, messages_);
  for (net::Fd& client : clients) EXPECT_EQ(Messages::sorted(heard(client)), messages_.sent_to(client));
}
INSTANTIATE_TEST_SUITE_P(Families, UdpSenderTest, ::testing::Values("127.0.0.1", "::1"));

TEST_F(UdpSenderTest, RepliesOfOneSizeToOneClientLeaveTogetherAndAShorterOneLast) {
  const net::Fd server = bound(SOCK_DGRAM, at("127.0.0.1")), client = bound(SOCK_DGRAM, at("127.0.0.1"));
  see_joined(client);
  for (const std::size_t size : {50, 60, 60, 60, 60, 60, 60, 60}) messages_.add(client, size);
  send(server, messages_);
  const auto got = heard(client);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].size(), 7 * 60U + 50U);
  EXPECT_TRUE(got[0].starts_with("1:") && got[0].substr(7 * 60).starts_with("0:"));
}

TEST_F(UdpSenderTest, FewAtATimeAreSentAsTheyAre) {
  const net::Fd server = bound(SOCK_DGRAM, at("127.0.0.1")), client = bound(SOCK_DGRAM, at("127.0.0.1"));
  see_joined(client);
  for (int i = 0; i < 7; ++i) messages_.add(client, 60);
  send(server, messages_);
  EXPECT_EQ(heard(client).size(), 7U);
}

TEST_F(UdpSenderTest, WhatLeavesFromDifferentAddressesOfOursIsNotJoined) {
  const net::Fd server = bound(SOCK_DGRAM, at("0.0.0.0")), client = bound(SOCK_DGRAM, at("127.0.0.1"));
  for (int i = 0; i < 9; ++i) messages_.add(client, 60, i % 3 == 0 ? "127.0.0.2" : "127.0.0.3");
  send(server, messages_);
  std::vector<IpAddress> senders;
  const auto got = heard(client, &senders);
  ASSERT_EQ(got.size(), 9U);
  for (std::size_t i = 0; i < got.size(); ++i) {
    const int number = std::stoi(got[i]);
    EXPECT_EQ(senders[i].to_string(), number % 3 == 0 ? "127.0.0.2" : "127.0.0.3") << number;
  }
}

TEST_F(UdpSenderTest, WhereNothingCanBeJoinedAllLeaveOneByOne) {
  const net::Fd server = bound(SOCK_DGRAM, at("127.0.0.1"));
  const net::Fd client = bound(SOCK_DGRAM, at("127.0.0.1")), other = bound(SOCK_DGRAM, at("127.0.0.1"));
  const int on = 1;
  ASSERT_EQ(setsockopt(server.get(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);  // then the kernel cuts nothing
  for (int i = 0; i < 20; ++i) messages_.add(i % 4 == 0 ? other : client, 60);
  send(server, messages_);
  EXPECT_EQ(Messages::sorted(heard(client)), messages_.sent_to(client));
  EXPECT_EQ(Messages::sorted(heard(other)), messages_.sent_to(other));
}

TEST_F(UdpSenderTest, AClientThatCannotBeReachedCostsNobodyElseTheReplyNorTheJoining) {
  const net::Fd server = bound(SOCK_DGRAM, at("127.0.0.1"));
  const net::Fd client = bound(SOCK_DGRAM, at("127.0.0.1")), nobody = bound(SOCK_DGRAM, at("127.0.0.1"));
  see_joined(client);
  for (int i = 0; i < 20; ++i) {
    messages_.add(i % 2 == 0 ? nobody : client, 60);
    if (i % 2 == 0) messages_.to_port_0();
  }
  send(server, messages_);
  EXPECT_EQ(heard(client).size(), 1U);
  EXPECT_TRUE(sender_.joins());
}

}  // namespace
}  // namespace har::front
