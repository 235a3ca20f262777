#include "front/udp_front.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "front/test_sockets.h"

namespace har::front {
namespace {

using std::chrono::milliseconds;

// Answers every packet with itself behind "re:", at once or, for packets that begin with "later", when told to.
struct Echo {
  net::Loop loop;
  std::vector<std::pair<net::Asker, Bytes>> waiting;
  std::vector<std::size_t> sizes;
  std::vector<std::string> announced;
  UdpFront front{loop,
                 [this](std::span<const std::span<const std::uint8_t>> packets) {
                   for (const auto packet : packets) announced.push_back(text(packet));
                 },
                 [this](std::span<const std::uint8_t> packet, const net::Asker& asker,
                        std::span<std::uint8_t> out) -> std::size_t {
                   sizes.push_back(packet.size());
                   if (text(packet).starts_with("drop")) return 0;
                   if (text(packet).starts_with("later")) {
                     waiting.emplace_back(asker, Bytes(packet.begin(), packet.end()));
                     return 0;
                   }
                   const Bytes reply = reply_to(packet);
                   EXPECT_GE(out.size(), 4096U);
                   std::copy(reply.begin(), reply.end(), out.begin());
                   return reply.size();
                 }};

  static Bytes reply_to(std::span<const std::uint8_t> packet) {
    Bytes reply = bytes("re:");
    reply.insert(reply.end(), packet.begin(), packet.begin() + std::min<std::ptrdiff_t>(64, std::ssize(packet)));
    return reply;
  }

  IpPort serve(const IpPort& where) {
    net::Fd fd = bound(SOCK_DGRAM, where);
    const IpPort local = local_of(fd.get());
    std::vector<net::Fd> sockets;
    sockets.push_back(std::move(fd));
    front.serve(std::move(sockets));
    return local;
  }

  void say(const net::Fd& client, const std::string& what) {
    ASSERT_EQ(::send(client.get(), what.data(), what.size(), 0), std::ssize(what));
  }

  // The next packet at `client`; "" when none comes within the limit.
  std::string hear(const net::Fd& client, Duration limit = std::chrono::seconds(5)) {
    std::array<char, 70'000> buffer;
    ssize_t got = -1;
    run_until(
        loop, [&] { return (got = recv(client.get(), buffer.data(), buffer.size(), 0)) >= 0; }, limit);
    return got < 0 ? "" : std::string(buffer.data(), static_cast<std::size_t>(got));
  }
};

TEST(UdpFront, AnswersOverBothFamilies) {
  for (const char* ip : {"127.0.0.1", "::1"}) {
    Echo echo;
    const net::Fd client = connected(SOCK_DGRAM, echo.serve(at(ip)));
    echo.say(client, "hello");
    EXPECT_EQ(echo.hear(client), "re:hello") << ip;
  }
}

TEST(UdpFront, AnswersEveryPacketOfManyClientsInManyBatches) {
  Echo echo;
  const IpPort server = echo.serve(at("127.0.0.1"));
  std::vector<net::Fd> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(connected(SOCK_DGRAM, server));
  constexpr int kEach = 40;  // 200 packets wait at once: several batches, the last one not full
  for (int i = 0; i < kEach; ++i) {
    for (std::size_t c = 0; c < clients.size(); ++c) {
      echo.say(clients[c], std::to_string(c) + "/" + std::to_string(i));
    }
  }
  for (std::size_t c = 0; c < clients.size(); ++c) {
    std::set<std::string> heard;
    for (int i = 0; i < kEach; ++i) heard.insert(echo.hear(clients[c]));
    EXPECT_EQ(heard.size(), static_cast<std::size_t>(kEach));
    for (const std::string& one : heard) EXPECT_TRUE(one.starts_with("re:" + std::to_string(c) + "/")) << one;
  }
}

TEST(UdpFront, ABatchIsAnnouncedBeforeItsPacketsAreHandled) {
  Echo echo;
  const net::Fd client = connected(SOCK_DGRAM, echo.serve(at("127.0.0.1")));
  for (const char* what : {"one", "two", "three"}) echo.say(client, what);
  EXPECT_EQ(echo.hear(client), "re:one");
  EXPECT_EQ(echo.announced, (std::vector<std::string>{"one", "two", "three"}));
  for (const char* what : {"two", "three"}) EXPECT_EQ(echo.hear(client), std::string("re:") + what);
  echo.say(client, "alone");  // nothing is gained by it
  EXPECT_EQ(echo.hear(client), "re:alone");
  EXPECT_EQ(echo.announced.size(), 3U);
}

TEST(UdpFront, TheLargestPacketsComeWhole) {
  Echo echo;
  const net::Fd client = connected(SOCK_DGRAM, echo.serve(at("127.0.0.1")));
  for (const std::size_t size : {0UL, 1UL, 4095UL, 4096UL, 4097UL, 8192UL, 65'507UL, 65'507UL, 12UL}) {
    echo.say(client, std::string(size, 'x'));
    EXPECT_EQ(echo.hear(client).size(), 3 + std::min<std::size_t>(size, 64));
    EXPECT_EQ(echo.sizes.back(), size);
  }
}

TEST(UdpFront, AReplyMayComeLaterAndInAnyOrder) {
  Echo echo;
  const IpPort server = echo.serve(at("127.0.0.1"));
  const net::Fd a = connected(SOCK_DGRAM, server);
  const net::Fd b = connected(SOCK_DGRAM, server);
  echo.say(a, "later a");
  echo.say(b, "later b");
  ASSERT_TRUE(run_until(echo.loop, [&] { return echo.waiting.size() == 2; }));
  for (auto it = echo.waiting.rbegin(); it != echo.waiting.rend(); ++it) echo.front.send(it->first, it->second);
  EXPECT_EQ(echo.hear(a), "later a");
  EXPECT_EQ(echo.hear(b), "later b");
}

TEST(UdpFront, RepliesThatBecomeReadyTogetherAllArriveWhateverTheirSize) {
  Echo echo;
  const IpPort server = echo.serve(at("127.0.0.1"));
  const net::Fd client = connected(SOCK_DGRAM, server);
  std::vector<std::size_t> sizes(40, 100);
  for (const std::size_t size : {20'000U, 20'000U, 50'000U, 32'768U, 1U, 4096U}) sizes.push_back(size);
  for (std::size_t i = 0; i < sizes.size(); ++i) echo.say(client, "later");
  ASSERT_TRUE(run_until(echo.loop, [&] { return echo.waiting.size() == sizes.size(); }));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Bytes reply(sizes[i], static_cast<std::uint8_t>('a' + i % 26));
    echo.front.send(echo.waiting[i].first, reply);
    std::fill(reply.begin(), reply.end(), std::uint8_t{0});  // it was copied, or has left
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(echo.hear(client), std::string(sizes[i], static_cast<char>('a' + i % 26))) << i;
  }
}

TEST(UdpFront, ASocketThatWasBusyIsWatchedAgain) {
  Echo echo;
  const IpPort server = echo.serve(at("127.0.0.1"));
  const net::Fd client = connected(SOCK_DGRAM, server);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 64; ++i) echo.say(client, "drop");  // two full batches: from now on it is busy
    echo.say(client, "last");
    EXPECT_EQ(echo.hear(client), "re:last");
    for (int i = 0; i < 3; ++i) {
      echo.say(client, "calm");
      EXPECT_EQ(echo.hear(client), "re:calm");
    }
  }
}

// Of a socket that came with several packets the last time, nobody watches while they are answered.
TEST(UdpFront, ASocketThatComesInBurstsIsWatchedBetweenThem) {
  Echo echo;
  const net::Fd client = connected(SOCK_DGRAM, echo.serve(at("127.0.0.1")));
  for (const int packets : {12, 12, 9, 1, 20, 1}) {
    for (int i = 0; i < packets; ++i) echo.say(client, std::to_string(i));
    std::set<std::string> heard;
    for (int i = 0; i < packets; ++i) heard.insert(echo.hear(client));
    EXPECT_EQ(heard.size(), static_cast<std::size_t>(packets));
    EXPECT_FALSE(heard.contains(""));
    run_for(echo.loop, milliseconds(5));
  }
}

TEST(UdpFront, OneUnreachableClientCostsNobodyElseTheReply) {
  Echo echo;
  const IpPort server = echo.serve(at("127.0.0.1"));
  net::Fd gone = connected(SOCK_DGRAM, server);
  const net::Fd client = connected(SOCK_DGRAM, server);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) {
      if (gone) echo.say(gone, "late");
      echo.say(client, "hello");
    }
    gone.reset();  // the replies meet a closed port: ICMP comes back
    for (int i = 0; i < 10; ++i) EXPECT_EQ(echo.hear(client), "re:hello");
  }
}

TEST(UdpFront, ALateReplyToAClosedPortIsNoHarm) {
  Echo echo;
  const IpPort server = echo.serve(at("127.0.0.1"));
  net::Fd gone = connected(SOCK_DGRAM, server);
  echo.say(gone, "later");
  ASSERT_TRUE(run_until(echo.loop, [&] { return echo.waiting.size() == 1; }));
  gone.reset();
  for (int i = 0; i < 5; ++i) echo.front.send(echo.waiting[0].first, bytes("to nobody"));
  const net::Fd client = connected(SOCK_DGRAM, server);
  echo.say(client, "hello");
  EXPECT_EQ(echo.hear(client), "re:hello");
}

TEST(UdpFront, WhatWaitsInASocketOutOfServiceIsAnswered) {
  Echo echo;
  net::Fd fd = bound(SOCK_DGRAM, at("127.0.0.1"));
  const net::Fd client = connected(SOCK_DGRAM, local_of(fd.get()));
  std::vector<net::Fd> sockets;
  sockets.push_back(std::move(fd));
  echo.front.serve(std::move(sockets));
  for (int i = 0; i < 100; ++i) echo.say(client, "waits");
  const net::Fd other = connected(SOCK_DGRAM, echo.serve(at("127.0.0.1")));  // replaces the first
  for (int i = 0; i < 100; ++i) EXPECT_EQ(echo.hear(client), "re:waits");
  echo.say(other, "hello");
  EXPECT_EQ(echo.hear(other), "re:hello");
}

TEST(UdpFront, ASocketOutOfServiceClosesOnceEmptyAndAnswered) {
  Echo echo;
  const IpPort first = echo.serve(at("127.0.0.1"));
  const net::Fd client = connected(SOCK_DGRAM, first);
  echo.say(client, "later");
  ASSERT_TRUE(run_until(echo.loop, [&] { return echo.waiting.size() == 1; }));
  echo.serve(at("127.0.0.1"));
  run_for(echo.loop, milliseconds(150));
  echo.front.send(echo.waiting[0].first, bytes("in time"));  // a reply of the forwarder, through the old socket
  EXPECT_EQ(echo.hear(client), "in time");
  // Then the port is free again.
  ASSERT_TRUE(run_until(echo.loop, [&] {
    const net::SocketAddress address(first);
    const net::Fd probe(socket(AF_INET, SOCK_DGRAM, 0));
    return bind(probe.get(), &address.generic, address.size()) == 0;
  }));
  echo.front.send(echo.waiting[0].first, bytes("too late"));  // ignored
  EXPECT_EQ(echo.hear(client, milliseconds(20)), "");
}

TEST(UdpFront, ASocketServedAlreadyStays) {
  Echo echo;
  const net::Fd keeper = bound(SOCK_DGRAM, at("127.0.0.1"));  // as the keeper holds it
  const net::Fd client = connected(SOCK_DGRAM, local_of(keeper.get()));
  for (int i = 0; i < 3; ++i) {
    std::vector<net::Fd> sockets;
    sockets.emplace_back(dup(keeper.get()));
    echo.front.serve(std::move(sockets));
    echo.say(client, "hello");
    EXPECT_EQ(echo.hear(client), "re:hello");
    EXPECT_EQ(echo.hear(client, milliseconds(20)), "");  // once only
  }
}

TEST(UdpFront, AWildcardSocketAnswersFromTheAddressAsked) {
  Echo echo;
  const IpPort server = echo.serve(at("0.0.0.0"));
  // Connected clients take replies from the address asked and from no other.
  const net::Fd one = connected(SOCK_DGRAM, at("127.0.0.1", server.port));
  const net::Fd two = connected(SOCK_DGRAM, at("127.0.0.2", server.port));
  const net::Fd three = connected(SOCK_DGRAM, at("127.1.2.3", server.port));
  for (const net::Fd* client : {&two, &one, &three}) {
    echo.say(*client, "hello");
    EXPECT_EQ(echo.hear(*client), "re:hello");
    echo.say(*client, "later");
  }
  ASSERT_TRUE(run_until(echo.loop, [&] { return echo.waiting.size() == 3; }));
  for (const auto& [asker, packet] : echo.waiting) echo.front.send(asker, packet);
  for (const net::Fd* client : {&one, &two, &three}) EXPECT_EQ(echo.hear(*client), "later");
}

// From 127.0.0.1 to 127.0.0.2 is from this host as well, but only the packet that came from where it went shows it.
TEST(UdpFront, AWildcardSocketTellsWhoAsksFromTheAddressAsked) {
  Echo echo;
  const IpPort server = echo.serve(at("0.0.0.0"));
  const net::Fd same = connected(SOCK_DGRAM, at("127.0.0.1", server.port));
  const net::Fd other = connected(SOCK_DGRAM, at("127.0.0.2", server.port));
  echo.say(same, "later");
  echo.say(other, "later");
  ASSERT_TRUE(run_until(echo.loop, [&] { return echo.waiting.size() == 2; }));
  EXPECT_TRUE(echo.waiting[0].first.from_here);
  EXPECT_FALSE(echo.waiting[1].first.from_here);

  Echo sixth;
  const net::Fd client = connected(SOCK_DGRAM, at("::1", sixth.serve(at("::")).port));
  sixth.say(client, "later");
  ASSERT_TRUE(run_until(sixth.loop, [&] { return sixth.waiting.size() == 1; }));
  EXPECT_TRUE(sixth.waiting[0].first.from_here);
}

TEST(UdpFront, AWildcardSocketOfIpv6AnswersFromTheAddressAsked) {
  Echo echo;
  const IpPort server = echo.serve(at("::"));
  const net::Fd client = connected(SOCK_DGRAM, at("::1", server.port));
  echo.say(client, "hello");
  EXPECT_EQ(echo.hear(client), "re:hello");
  const net::Fd mapped = connected(SOCK_DGRAM, at("127.0.0.5", server.port));  // the socket takes IPv4 as well
  echo.say(mapped, "later");
  ASSERT_TRUE(run_until(echo.loop, [&] { return echo.waiting.size() == 1; }));
  echo.front.send(echo.waiting[0].first, bytes("mapped"));
  EXPECT_EQ(echo.hear(mapped), "mapped");
}

TEST(UdpFront, AFloodOnOneSocketLeavesTheLoopItsTurns) {
  Echo echo;
  net::Fd fd = bound(SOCK_DGRAM, at("127.0.0.1"));
  const int room = 1 << 22;
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  const net::Fd client = connected(SOCK_DGRAM, local_of(fd.get()));
  for (int i = 0; i < 200; ++i) echo.say(client, "drop");
  std::vector<net::Fd> sockets;
  sockets.push_back(std::move(fd));
  echo.front.serve(std::move(sockets));
  echo.loop.run_once();
  EXPECT_GT(echo.sizes.size(), 0U);
  EXPECT_LE(echo.sizes.size(), 64U);  // two batches
  EXPECT_TRUE(run_until(echo.loop, [&] { return echo.sizes.size() == 200; }));
}

}  // namespace
}  // namespace har::front
