#include "probe/resolver.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <map>
#include <set>

#include "dns/name.h"
#include "dns/types.h"
#include "probe/testing.h"

namespace har::probe {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Bytes = std::vector<std::uint8_t>;

struct Asked {
  std::string name;
  std::uint16_t type = 0;
  bool tcp = false;
  std::uint16_t port = 0;  // the asker's
  Bytes query{};
};

// What an upstream says: rcode, addresses of the family that was asked, flags.
struct Reply {
  std::uint8_t rcode = 0;
  std::vector<std::string> addresses{};
  std::uint32_t ttl = 60;
  bool truncated = false;
  bool silent = false;
  Duration after{};
};

Bytes encode(const Asked& asked, const Reply& reply) {
  Bytes out(asked.query.begin(), asked.query.end());
  out[2] = static_cast<std::uint8_t>(0x81 | (reply.truncated ? 2 : 0));
  out[3] = static_cast<std::uint8_t>(0x80 | reply.rcode);
  const auto u16 = [&](unsigned v) {
    out.push_back(static_cast<std::uint8_t>(v >> 8));
    out.push_back(static_cast<std::uint8_t>(v & 0xFF));
  };
  std::uint8_t count = 0;
  for (const std::string& text : reply.addresses) {
    const IpAddress address = *IpAddress::parse(text);
    if ((address.family == Family::kV4) != (asked.type == dns::kTypeA)) continue;
    ++count;
    u16(0xC00C);
    u16(asked.type);
    u16(1);
    u16(reply.ttl >> 16);
    u16(reply.ttl & 0xFFFF);
    u16(static_cast<unsigned>(address.size()));
    out.insert(out.end(), address.bytes.begin(), address.bytes.begin() + static_cast<std::ptrdiff_t>(address.size()));
  }
  out[7] = count;
  return out;
}

// A DNS server on UDP and TCP of one port, on a thread of its own.
class Upstream {
 public:
  using Behaviour = std::function<Reply(const Asked&)>;

  explicit Upstream(Behaviour behaviour) : behaviour_(std::move(behaviour)) {
    for (;;) {  // a port that is free for both
      net::SocketAddress address(IpPort{.ip = testing::loopback()});
      socklen_t size = address.size();
      udp_ = net::Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      tcp_ = net::Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (bind(udp_.get(), &address.generic, size) != 0) std::abort();
      getsockname(udp_.get(), &address.generic, &size);
      address_ = address.to_ip_port();
      if (bind(tcp_.get(), &address.generic, size) == 0 && listen(tcp_.get(), 100) == 0) break;
    }
    if (pipe(end_) != 0) std::abort();
    thread_ = std::thread([this] { serve(); });
  }
  ~Upstream() {
    close(end_[1]);
    thread_.join();
    close(end_[0]);
  }
  const IpPort& address() const { return address_; }
  std::vector<Asked> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void serve() {
    std::multimap<Instant, std::pair<Bytes, net::SocketAddress>> later;
    for (;;) {
      pollfd fds[] = {{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}, {end_[0], POLLIN, 0}};
      poll(fds, 3, later.empty() ? -1 : 5);
      while (!later.empty() && later.begin()->first <= net::now()) {
        send_udp(later.begin()->second.first, later.begin()->second.second);
        later.erase(later.begin());
      }
      if (fds[2].revents != 0) return;
      if (fds[1].revents != 0) serve_tcp();
      if (fds[0].revents == 0) continue;
      net::SocketAddress from;
      socklen_t size = sizeof from.v6;
      std::uint8_t buffer[2'000];
      const ssize_t n = recvfrom(udp_.get(), buffer, sizeof buffer, 0, &from.generic, &size);
      if (n < 17) continue;
      const Asked asked = note(Bytes(buffer, buffer + n), false, from.to_ip_port().port);
      const Reply reply = behaviour_(asked);
      if (reply.silent) continue;
      if (reply.after > Duration::zero())
        later.emplace(net::now() + reply.after, std::pair(encode(asked, reply), from));
      else
        send_udp(encode(asked, reply), from);
    }
  }
  void send_udp(const Bytes& bytes, const net::SocketAddress& to) const {
    sendto(udp_.get(), bytes.data(), bytes.size(), 0, &to.generic, to.size());
  }
  void serve_tcp() {
    const net::Fd connection(accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::uint8_t head[2];
    if (recv(connection.get(), head, 2, MSG_WAITALL) != 2) return;
    Bytes query(static_cast<std::size_t>(head[0] << 8 | head[1]));
    if (recv(connection.get(), query.data(), query.size(), MSG_WAITALL) != static_cast<ssize_t>(query.size())) return;
    const Asked asked = note(std::move(query), true, 0);
    const Reply reply = behaviour_(asked);
    if (reply.silent) return;
    Bytes out = encode(asked, reply);
    const std::uint8_t length[] = {static_cast<std::uint8_t>(out.size() >> 8), static_cast<std::uint8_t>(out.size())};
    out.insert(out.begin(), length, length + 2);
    // In two pieces: the reader must put them together.
    send(connection.get(), out.data(), 5, MSG_NOSIGNAL);
    std::this_thread::sleep_for(milliseconds(2));
    send(connection.get(), out.data() + 5, out.size() - 5, MSG_NOSIGNAL);
  }
  Asked note(Bytes query, bool tcp, std::uint16_t port) {
    const std::span<const std::uint8_t> rest = std::span(query).subspan(12);
    const std::size_t size = dns::wire_name_size(rest);
    Asked asked{.name = dns::name_to_text(rest.first(size)),
                .type = static_cast<std::uint16_t>(rest[size] << 8 | rest[size + 1]),
                .tcp = tcp,
                .port = port,
                .query = std::move(query)};
    const std::lock_guard lock(mutex_);
    asked_.push_back(asked);
    return asked;
  }

  Behaviour behaviour_;
  net::Fd udp_, tcp_;
  IpPort address_;
  int end_[2] = {-1, -1};
  std::thread thread_;
  mutable std::mutex mutex_;
  std::vector<Asked> asked_;
};

struct Bench {
  bool run_until(std::function<bool()> condition, Duration patience = seconds(15)) {
    until = std::move(condition);
    bool in_time = true;
    net::Timer end(loop, [&] {
      in_time = false;
      loop.stop();
    });
    end.set(patience);
    if (!until()) loop.run();
    until = {};
    return in_time;
  }
  void ask(const std::vector<std::string>& hosts, Duration frequency = seconds(2)) {
    std::vector<Resolver::Host> all;
    for (const std::string& host : hosts) all.push_back({host, frequency});
    resolver.set_hosts(std::move(all));
  }
  std::string last(const std::string& host) {
    std::string text;
    for (const IpAddress& address : resolved[host].back()) text += (text.empty() ? "" : " ") + address.to_string();
    return text;
  }
  void check() {
    if (until && until()) loop.stop();
  }

  net::Loop loop;
  Log log{"", LogLevel::kError};
  std::map<std::string, std::vector<std::vector<IpAddress>>> resolved;
  std::map<std::string, std::vector<std::string>> failed;
  std::function<bool()> until;
  Resolver resolver{loop, log,
                    [this](const std::string& host, const std::vector<IpAddress>& addresses) {
                      resolved[host].push_back(addresses);
                      check();
                    },
                    [this](const std::string& host, std::string_view why) {
                      failed[host].emplace_back(why);
                      check();
                    }};
};

const Reply kGood{.addresses = {"192.0.2.2", "192.0.2.1", "2001:db8::1"}};

TEST(Resolver, AsksBothFamiliesAndTellsOnce) {
  Upstream upstream([](const Asked&) { return kGood; });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  b.ask({"a_1.example.test", "xn--bcher-kva.example"});
  ASSERT_TRUE(b.run_until([&] { return b.resolved.size() == 2; }));
  EXPECT_EQ(b.last("a_1.example.test"), "192.0.2.1 192.0.2.2 2001:db8::1");
  EXPECT_EQ(b.resolved["a_1.example.test"].size(), 1U);
  EXPECT_EQ(upstream.asked().size(), 4U);
  EXPECT_EQ(b.resolver.stats("a_1.example.test").successes, 1U);
}

TEST(Resolver, EveryQuestionHasAPortAndAnIdOfItsOwn) {
  Upstream upstream([](const Asked&) { return kGood; });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  std::vector<std::string> hosts;
  for (int i = 0; i < 200; ++i) hosts.push_back("h" + std::to_string(i) + ".example.test");
  b.ask(hosts);
  ASSERT_TRUE(b.run_until([&] { return b.resolved.size() == 200; }));
  std::set<int> ids, ports;
  for (const Asked& asked : upstream.asked()) {
    ids.insert(asked.query[0] << 8 | asked.query[1]);
    ports.insert(asked.port);
  }
  EXPECT_GT(ids.size(), 380U);
  EXPECT_GT(ports.size(), 300U);
}

// 0.0.0.0 is this host to connect(2), and no client can use any of these.
TEST(Resolver, WhatIsNoHostsAddressIsNotTakenFromAZoneEither) {
  Upstream upstream([](const Asked& asked) {
    if (asked.name == "mixed.example.test") {
      return Reply{.addresses = {"0.0.0.0", "192.0.2.1", "255.255.255.255", "224.0.0.1", "::", "2001:db8::1", "fe80::1",
                                 "ff02::1", "::ffff:127.0.0.1"}};
    }
    return Reply{.addresses = {"0.0.0.0", "::"}};
  });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  b.ask({"mixed.example.test", "nobody.example.test"});
  ASSERT_TRUE(b.run_until([&] { return b.resolved.size() == 1 && b.failed.size() == 1; }));
  EXPECT_EQ(b.last("mixed.example.test"), "192.0.2.1 2001:db8::1");
  EXPECT_EQ(b.failed["nobody.example.test"].front(), "no addresses");
}

TEST(Resolver, ATruncatedReplyIsFetchedOverTcp) {
  Upstream upstream([](const Asked& asked) {
    Reply reply = kGood;
    if (!asked.tcp) reply = {.truncated = true};
    return reply;
  });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  b.ask({"a.example.test"});
  ASSERT_TRUE(b.run_until([&] { return b.resolved.size() == 1; }));
  EXPECT_EQ(b.last("a.example.test"), "192.0.2.1 192.0.2.2 2001:db8::1");
}

TEST(Resolver, ServfailKeepsAndIsAskedAgainSoon) {
  std::atomic<bool> broken = false;
  Upstream upstream([&](const Asked&) {
    Reply reply = kGood;
    reply.ttl = 1;
    if (broken) reply = {.rcode = dns::kServFail};
    return reply;
  });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  b.ask({"a.example.test"});
  ASSERT_TRUE(b.run_until([&] { return b.resolved["a.example.test"].size() == 1; }));
  broken = true;
  ASSERT_TRUE(b.run_until([&] { return b.failed["a.example.test"].size() == 1; }));
  EXPECT_EQ(b.failed["a.example.test"].front(), "SERVFAIL");
  broken = false;
  ASSERT_TRUE(b.run_until([&] { return b.resolved["a.example.test"].size() == 2; }));
  EXPECT_EQ(b.resolver.stats("a.example.test").errors, 1U);
  EXPECT_EQ(b.resolver.stats("a.example.test").successes, 2U);
}

TEST(Resolver, TheNextUpstreamAnswersForASilentOrRefusingOrFailingOne) {
  const std::uint16_t closed = testing::Server([](const testing::Peer&) {}).port();
  Upstream silent([](const Asked&) { return Reply{.silent = true}; });
  Upstream failing([](const Asked&) { return Reply{.rcode = dns::kRefused}; });
  Upstream good([](const Asked&) { return kGood; });
  for (const IpPort& first : {silent.address(), failing.address(), IpPort{.ip = testing::loopback(), .port = closed}}) {
    Bench b;
    b.resolver.set_upstreams({first, good.address()}, seconds(1));
    b.ask({"a.example.test"});
    const Instant start = net::now();
    ASSERT_TRUE(b.run_until([&] { return b.resolved.size() == 1; }));
    EXPECT_LT(net::now() - start, milliseconds(600));
  }
}

TEST(Resolver, SilenceEndsWithinTwoSecondsAndOthersAreHeardMeanwhile) {
  Upstream upstream([](const Asked& asked) {
    Reply reply = kGood;
    reply.silent = asked.name == "dead.example.test";
    return reply;
  });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  b.ask({"dead.example.test", "a.example.test"});
  const Instant start = net::now();
  ASSERT_TRUE(b.run_until([&] { return b.resolved.size() == 1; }, milliseconds(500)));
  ASSERT_TRUE(b.run_until([&] { return b.failed.size() == 1; }));
  EXPECT_LT(net::now() - start, milliseconds(2'400));
  EXPECT_EQ(b.failed["dead.example.test"].front(), "no answer");
  EXPECT_EQ(b.resolver.stats("dead.example.test").timeouts, 1U);
  EXPECT_EQ(upstream.asked().size(), 6U);  // each of its questions twice
}

TEST(Resolver, OneSilentFamilyHoldsTheOtherUpOnlyBriefly) {
  Upstream upstream([](const Asked& asked) {
    Reply reply = kGood;
    reply.silent = asked.type == dns::kTypeAaaa;
    return reply;
  });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  b.ask({"a.example.test"});
  const Instant start = net::now();
  ASSERT_TRUE(b.run_until([&] { return b.resolved.size() == 1; }));
  EXPECT_LT(net::now() - start, milliseconds(700));
  EXPECT_EQ(b.last("a.example.test"), "192.0.2.1 192.0.2.2");
}

TEST(Resolver, ForgedRepliesAreNotTaken) {
  // The real answer comes after a crowd of wrong ones: other ID, other question, no QR.
  Upstream upstream([](const Asked&) { return Reply{.silent = true}; });
  net::SocketAddress bound(IpPort{.ip = testing::loopback()});
  socklen_t size = bound.size();
  const net::Fd server(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(server.get(), &bound.generic, size), 0);
  getsockname(server.get(), &bound.generic, &size);
  std::atomic<bool> stop = false;
  std::thread thread([&] {
    while (!stop) {
      pollfd fd{server.get(), POLLIN, 0};
      if (poll(&fd, 1, 50) != 1) continue;
      net::SocketAddress from;
      socklen_t length = sizeof from.v6;
      std::uint8_t buffer[600];
      const ssize_t n = recvfrom(server.get(), buffer, sizeof buffer, 0, &from.generic, &length);
      if (n < 17) continue;
      Asked asked{.name = {}, .type = static_cast<std::uint16_t>(buffer[n - 3]), .query = Bytes(buffer, buffer + n)};
      const Bytes real = encode(asked, {.addresses = {"192.0.2.1", "2001:db8::1"}});
      const Bytes bait = encode(asked, {.addresses = {"192.0.2.66", "2001:db8::66"}});
      const auto say = [&](Bytes bytes) { sendto(server.get(), bytes.data(), bytes.size(), 0, &from.generic, length); };
      Bytes other_id = bait, other_name = bait, no_reply = bait, cut = bait;
      other_id[0] ^= 1;
      other_name[13] ^= 1;
      no_reply[2] &= 0x7F;
      cut.resize(11);
      for (int i = 0; i < 5; ++i) {
        for (const Bytes& bytes : {other_id, other_name, no_reply, cut}) say(bytes);
      }
      say(real);
    }
  });
  Bench b;
  b.resolver.set_upstreams({bound.to_ip_port()}, seconds(1));
  b.ask({"a.example.test"});
  const bool came = b.run_until([&] { return b.resolved.size() == 1; });
  stop = true;
  thread.join();
  ASSERT_TRUE(came);
  EXPECT_EQ(b.last("a.example.test"), "192.0.2.1 2001:db8::1");
}

TEST(Resolver, WithoutUpstreamsNothingIsKnownUntilThereAreSome) {
  Upstream upstream([](const Asked&) { return kGood; });
  Bench b;
  b.ask({"a.example.test"});
  EXPECT_FALSE(b.run_until([&] { return !b.failed.empty(); }, milliseconds(50)));  // not asked yet at all
  b.resolver.set_upstreams({}, seconds(1));
  ASSERT_TRUE(b.run_until([&] { return !b.failed.empty(); }));
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  ASSERT_TRUE(b.run_until([&] { return !b.resolved.empty(); }, milliseconds(600)));
}

TEST(Resolver, HostsThatLeaveAreNotHeardOfAndHostsThatStayKeepTheirTimers) {
  Upstream upstream([](const Asked&) {
    Reply reply = kGood;
    reply.after = milliseconds(100);
    return reply;
  });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  b.ask({"gone.example.test", "stays.example.test"});
  net::Timer change(b.loop, [&] { b.ask({"stays.example.test", "new.example.test"}); });
  change.set(milliseconds(50));
  ASSERT_TRUE(b.run_until([&] { return b.resolved.contains("new.example.test"); }));
  EXPECT_FALSE(b.resolved.contains("gone.example.test"));
  int asked = 0;
  for (const Asked& a : upstream.asked()) asked += a.name == "stays.example.test" ? 1 : 0;
  EXPECT_EQ(asked, 2);
}

TEST(Resolver, AHostWhoseFrequencyGetsShorterIsAskedInItsTime) {
  Upstream upstream([](const Asked&) { return kGood; });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  b.ask({"a.example.test"}, seconds(4));
  ASSERT_TRUE(b.run_until([&] { return b.resolved["a.example.test"].size() == 1; }));
  b.ask({"a.example.test"}, milliseconds(10));
  EXPECT_TRUE(b.run_until([&] { return b.resolved["a.example.test"].size() == 2; }));  // after a second, not 60
}

TEST(Resolver, WhatIsNoNameFailsAndDisturbsNobody) {
  Upstream upstream([](const Asked&) { return kGood; });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  b.ask({"a..b", std::string(300, 'x'), "a.example.test"});
  ASSERT_TRUE(b.run_until([&] { return b.resolved.size() + b.failed.size() == 3; }));
  EXPECT_EQ(b.failed["a..b"].front(), "not a host name");
}

TEST(Resolver, ThousandsOfHostsAreAskedInGoodTimeAndInBoundedNumbers) {
  Upstream upstream([](const Asked&) { return kGood; });
  Bench b;
  b.resolver.set_upstreams({upstream.address()}, seconds(1));
  std::vector<std::string> hosts;
  for (int i = 0; i < 3'000; ++i) hosts.push_back("h" + std::to_string(i) + ".example.test");
  b.ask(hosts);
  const Instant start = net::now();
  ASSERT_TRUE(b.run_until([&] { return b.resolved.size() == 3'000; }));
  EXPECT_GE(net::now() - start, milliseconds(800));  // paced: 6,400 questions a second
}

TEST(Resolver, ADeadUpstreamIsAskedWhetherItLivesAgain) {
  std::atomic<bool> dead = true;
  Upstream first([&](const Asked&) {
    Reply reply = kGood;
    reply.silent = dead;
    return reply;
  });
  Upstream second([](const Asked&) { return kGood; });
  Bench b;
  b.resolver.set_upstreams({first.address(), second.address()}, milliseconds(300));
  std::vector<std::string> hosts;
  for (int i = 0; i < 10; ++i) hosts.push_back("h" + std::to_string(i) + ".example.test");
  b.ask(hosts);
  ASSERT_TRUE(b.run_until([&] { return b.resolved.size() == 10; }));
  const auto was_asked_for_life = [&] {
    const auto all = first.asked();
    return std::any_of(all.begin(), all.end(), [](const Asked& a) { return a.type == dns::kTypeNs && a.name == "."; });
  };
  net::Timer look(b.loop, [&] {
    if (was_asked_for_life())
      b.loop.stop();
    else
      look.set(milliseconds(20));
  });
  look.set(milliseconds(20));
  b.run_until([] { return false; }, seconds(8));
  EXPECT_TRUE(was_asked_for_life());
}

}  // namespace
}  // namespace har::probe
