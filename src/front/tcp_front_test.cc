#include "front/tcp_front.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <set>

#include "front/tcp_connection.h"
#include "front/test_sockets.h"
#include "net/socket_set.h"

namespace har::front {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Bytes framed(const std::string& message) {
  Bytes out(kLengthOctets + message.size());
  out[0] = static_cast<std::uint8_t>(message.size() >> 8);
  out[1] = static_cast<std::uint8_t>(message.size());
  std::copy(message.begin(), message.end(), out.begin() + kLengthOctets);
  return out;
}

// A message of at least a header's size, as the front asks.
std::string query(const std::string& what) { return what + std::string(what.size() < 12 ? 12 - what.size() : 0, '.'); }

// Answers each message with itself; those that begin with "later" when told to, those with "drop" never,
// "big N" with N octets; "end" ends the connection.
struct Server {
  explicit Server(TcpFront::Limits limits = {}) : limits_(limits) {
    net::Fd listener = bound(SOCK_STREAM, at("127.0.0.1"));
    address = local_of(listener.get());
    std::vector<net::Fd> listeners;
    listeners.push_back(std::move(listener));
    front.serve(std::move(listeners));
  }

  TcpFront::Answer answer(std::span<const std::uint8_t> message, const net::Asker& asker, std::span<std::uint8_t> out) {
    const std::string what = text(message);
    seen.push_back(what);
    if (what.starts_with("drop")) return {TcpFront::Outcome::kDrop, 0};
    if (what.starts_with("end")) return {TcpFront::Outcome::kEnd, 0};
    if (what.starts_with("now")) {  // a reply by send() from inside the call
      front.send(asker, message);
      return {TcpFront::Outcome::kLater, 0};
    }
    if (what.starts_with("later")) {
      waiting.emplace_back(asker, Bytes(message.begin(), message.end()));
      return {TcpFront::Outcome::kLater, 0};
    }
    EXPECT_GE(out.size(), 4096U);
    if (what.starts_with("big ")) {
      const auto size = static_cast<std::size_t>(std::stoul(what.substr(4)));
      std::fill_n(out.begin(), size, 'b');
      return {TcpFront::Outcome::kReply, size};
    }
    std::copy(message.begin(), message.end(), out.begin());
    return {TcpFront::Outcome::kReply, message.size()};
  }

  void reply_to_all_waiting() {
    auto all = std::move(waiting);
    waiting.clear();
    for (auto it = all.rbegin(); it != all.rend(); ++it) front.send(it->first, it->second);  // newest first
  }

  bool until(const std::function<bool()>& done, Duration limit = seconds(5)) { return run_until(loop, done, limit); }

  net::Loop loop;
  TcpFront::Limits limits_;
  bool admits = true;
  std::vector<std::string> seen;
  std::vector<std::pair<net::Asker, Bytes>> waiting;
  IpPort address;
  TcpFront front{loop, limits_, [this](const IpAddress&, bool) { return admits; },
                 [this](auto message, const auto& asker, auto out) { return answer(message, asker, out); }};
};

struct Client {
  explicit Client(Server& server_in, int receive_buffer = 0)
      : server(server_in), fd(connected(SOCK_STREAM, server_in.address, receive_buffer)) {}

  void send(const Bytes& octets) {
    ASSERT_EQ(::send(fd.get(), octets.data(), octets.size(), MSG_NOSIGNAL), std::ssize(octets));
  }
  void ask(const std::string& what) { send(framed(query(what))); }
  void shut() const { shutdown(fd.get(), SHUT_WR); }

  // Reads what is there; true at the end of the stream (or a reset).
  bool is_ended() {
    std::array<std::uint8_t, 65'536> buffer;
    for (;;) {
      const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (got == 0) return true;
      if (got < 0) {
        was_reset = errno == ECONNRESET;
        return errno != EAGAIN;
      }
      received.insert(received.end(), buffer.begin(), buffer.begin() + got);
    }
  }
  // The next message; "<end>" at the end of the stream, "<nothing>" when none comes within the limit.
  std::string hear(Duration limit = seconds(5)) {
    bool ended = false;
    server.until(
        [&] {
          ended = is_ended();
          return ended || whole_message(received).has_value();
        },
        limit);
    const auto size = whole_message(received);
    if (!size) return ended ? "<end>" : "<nothing>";
    const std::string message(received.begin() + kLengthOctets, received.begin() + static_cast<std::ptrdiff_t>(*size));
    received.erase(received.begin(), received.begin() + static_cast<std::ptrdiff_t>(*size));
    return message;
  }

  Server& server;
  net::Fd fd;
  Bytes received;
  bool was_reset = false;
};

TEST(TcpFront, WhatWasAskedBeforeTheEndIsAnsweredAndNothingAfterIt) {
  Server server;
  Client client(server);
  Bytes all;
  for (const char* what : {"later", "hello", "end", "too late"}) {
    const Bytes one = framed(query(what));
    all.insert(all.end(), one.begin(), one.end());
  }
  client.send(all);
  EXPECT_EQ(client.hear(), query("hello"));
  server.reply_to_all_waiting();
  EXPECT_EQ(client.hear(), query("later"));
  EXPECT_EQ(client.hear(), "<end>");
  EXPECT_FALSE(client.was_reset);
  EXPECT_EQ(server.seen.size(), 3U);
}

TEST(TcpFront, AnswersOneQueryAfterTheOther) {
  Server server;
  Client client(server);
  for (int i = 0; i < 3; ++i) {
    client.ask("hello");
    EXPECT_EQ(client.hear(), query("hello"));
  }
  EXPECT_EQ(server.front.connections(), 1U);
}

TEST(TcpFront, TheCutsOfTheStreamMeanNothing) {
  Server server;
  Bytes stream;
  for (const char* what : {"one", "two", "a somewhat longer third message", "four"}) {
    const Bytes one = framed(query(what));
    stream.insert(stream.end(), one.begin(), one.end());
  }
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Client client(server);
    client.send(Bytes(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(cut)));
    run_for(server.loop, milliseconds(3));
    client.send(Bytes(stream.begin() + static_cast<std::ptrdiff_t>(cut), stream.end()));
    for (const char* what : {"one", "two", "a somewhat longer third message", "four"}) {
      ASSERT_EQ(client.hear(), query(what)) << "cut at " << cut;
    }
  }
}

TEST(TcpFront, AMessageMayComeOctetByOctet) {
  Server server;
  Client client(server);
  const int on = 1;
  setsockopt(client.fd.get(), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
  for (const std::uint8_t octet : framed(query("octet by octet"))) {
    client.send({octet});
    server.loop.run_once();
  }
  EXPECT_EQ(client.hear(), query("octet by octet"));
}

TEST(TcpFront, TheLargestMessageComesAndGoesWhole) {
  Server server;
  Client client(server);
  const std::string large(65'535, 'x');
  const Bytes stream = framed(large);
  std::size_t sent = 0;
  ASSERT_TRUE(server.until([&] {
    const ssize_t took = ::send(client.fd.get(), stream.data() + sent, stream.size() - sent, MSG_NOSIGNAL);
    if (took > 0) sent += static_cast<std::size_t>(took);
    return sent == stream.size();
  }));
  EXPECT_EQ(client.hear(), large);
  client.ask("and on");
  EXPECT_EQ(client.hear(), query("and on"));
}

TEST(TcpFront, RepliesMayComeInAnyOrder) {
  Server server;
  Client client(server);
  client.ask("later 1");
  client.ask("later 2");
  client.ask("at once");
  client.ask("now inside");
  EXPECT_EQ(client.hear(), query("at once"));
  EXPECT_EQ(client.hear(), query("now inside"));
  server.reply_to_all_waiting();
  EXPECT_EQ(client.hear(), query("later 2"));
  EXPECT_EQ(client.hear(), query("later 1"));
}

TEST(TcpFront, ImmediateRepliesAndThoseFromInsideTheHandlerNeverMix) {
  Server server;
  Client client(server);
  Bytes stream;
  std::multiset<std::string> expected, heard;
  for (int i = 0; i < 60; ++i) {
    const std::string what = query((i % 3 == 0 ? "now " : i % 3 == 1 ? "reply " : "drop ") + std::to_string(i));
    if (i % 3 != 2) expected.insert(what);
    const Bytes one = framed(what);
    stream.insert(stream.end(), one.begin(), one.end());
  }
  client.send(stream);
  for (std::size_t i = 0; i < expected.size(); ++i) heard.insert(client.hear());
  EXPECT_EQ(heard, expected);
}

TEST(TcpFront, AHalfClosedClientGetsItsRepliesAndThenTheEnd) {
  Server server;
  Client client(server);
  client.ask("later");
  client.ask("at once");
  client.shut();
  EXPECT_EQ(client.hear(), query("at once"));
  EXPECT_EQ(client.hear(milliseconds(20)), "<nothing>");  // still open
  server.reply_to_all_waiting();
  EXPECT_EQ(client.hear(), query("later"));
  EXPECT_EQ(client.hear(), "<end>");
  EXPECT_FALSE(client.was_reset);
  EXPECT_EQ(server.front.connections(), 0U);
}

TEST(TcpFront, AHalfClosedClientInTheMiddleOfAMessageIsClosed) {
  Server server;
  Client client(server);
  client.ask("whole");
  client.send({0, 50, 'x'});
  client.shut();
  EXPECT_EQ(client.hear(), query("whole"));
  EXPECT_EQ(client.hear(), "<end>");
}

TEST(TcpFront, ReadingPausesWithTooManyQueriesInFlightAndGoesOnAfterwards) {
  Server server({.max_in_flight = 4});
  Client client(server);
  Bytes stream;
  for (int i = 0; i < 50; ++i) {
    const Bytes one = framed(query("later " + std::to_string(i)));
    stream.insert(stream.end(), one.begin(), one.end());
  }
  client.send(stream);
  client.shut();
  std::set<std::string> heard;
  while (heard.size() < 50) {
    ASSERT_TRUE(server.until([&] { return !server.waiting.empty(); }));
    run_for(server.loop, milliseconds(1));
    ASSERT_LE(server.waiting.size(), 4U);
    const std::size_t count = server.waiting.size();
    server.reply_to_all_waiting();
    for (std::size_t i = 0; i < count; ++i) heard.insert(client.hear());
  }
  EXPECT_EQ(heard.size(), 50U);
  EXPECT_EQ(client.hear(), "<end>");
}

TEST(TcpFront, OneInFlightIsEnoughForALimit) {
  Server server({.max_in_flight = 1});
  Client client(server);
  for (int i = 0; i < 5; ++i) client.ask("later " + std::to_string(i));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(server.until([&] { return server.waiting.size() == 1; }));
    server.reply_to_all_waiting();
    EXPECT_EQ(client.hear(), query("later " + std::to_string(i)));
  }
}

TEST(TcpFront, AReaderWhoDoesNotReadStopsBeingRead) {
  Server server;
  Client client(server, 4096);
  const Bytes one = framed("big 60000" + std::string(4000, '.'));
  std::size_t asked = 0;
  std::size_t cut = 0;  // of a query that the connection took in part
  Instant last_taken = net::now();
  ASSERT_TRUE(server.until([&] {  // asks until the connection has taken nothing more for a while
    std::ptrdiff_t took = 0;
    while ((took = ::send(client.fd.get(), one.data() + cut, one.size() - cut, MSG_NOSIGNAL)) > 0) {
      cut = (cut + static_cast<std::size_t>(took)) % one.size();
      if (cut == 0) ++asked;
      last_taken = net::now();
    }
    return net::now() - last_taken > milliseconds(200);
  }));
  const std::size_t handled = server.seen.size();
  EXPECT_LT(handled, asked);
  // The kernel holds some 4 MiB at most; what the front holds is bounded by 256 KiB and one read's replies.
  EXPECT_LT(handled * 60'000, 16U * 1024 * 1024);
  // Whoever reads at last gets everything.
  client.shut();
  std::size_t replies = 0;
  while (client.hear() != "<end>") ++replies;
  EXPECT_EQ(replies, asked);
}

TEST(TcpFront, TheBacklogOfAnAskerIsKnown) {
  Server server;
  Client client(server, 4096);
  client.ask("later");
  ASSERT_TRUE(server.until([&] { return server.waiting.size() == 1; }));
  const net::Asker asker = server.waiting[0].first;
  const Bytes part(60'000, 'p');
  int parts = 0;
  while (server.front.backlog(asker).value_or(0) < 256 * 1024) {
    server.front.send(asker, part, false);  // a zone transfer
    ASSERT_LT(++parts, 1000);
  }
  for (int i = 0; i < parts; ++i) EXPECT_EQ(client.hear().size(), part.size());
  EXPECT_EQ(server.front.backlog(asker), 0U);
  server.front.send(asker, bytes(query("the last")), true);
  EXPECT_EQ(client.hear(), query("the last"));
  client.ask("and on");
  EXPECT_EQ(client.hear(), query("and on"));
}

TEST(TcpFront, AnIdleConnectionIsClosedInItsTimeAndNotBefore) {
  Server server({.idle_timeout = milliseconds(200)});
  Client client(server);
  client.ask("hello");
  EXPECT_EQ(client.hear(), query("hello"));
  const Instant start = net::now();
  EXPECT_EQ(client.hear(), "<end>");
  EXPECT_FALSE(client.was_reset);
  EXPECT_GE(net::now() - start, milliseconds(180));
  EXPECT_LE(net::now() - start, milliseconds(900));
  EXPECT_EQ(server.front.stats().closed_idle, 1U);
}

TEST(TcpFront, ATrickleOfOctetsDoesNotProlongAnIdleConnection) {
  Server server({.idle_timeout = milliseconds(200)});
  Client client(server);
  const Instant start = net::now();
  client.send({200, 0});
  Instant next = start;
  ASSERT_TRUE(server.until([&] {
    if (net::now() >= next) {
      ::send(client.fd.get(), "x", 1, MSG_NOSIGNAL);
      next = net::now() + milliseconds(20);
    }
    return client.is_ended();
  }));
  EXPECT_GE(net::now() - start, milliseconds(180));
  EXPECT_LE(net::now() - start, milliseconds(900));
}

TEST(TcpFront, WhoeverWaitsForAReplyIsNotIdle) {
  Server server({.idle_timeout = milliseconds(50)});
  Client client(server);
  client.ask("later");
  EXPECT_EQ(client.hear(milliseconds(300)), "<nothing>");
  server.reply_to_all_waiting();
  EXPECT_EQ(client.hear(), query("later"));
  EXPECT_EQ(client.hear(), "<end>");
}

TEST(TcpFront, AnIdleConnectionBesideAWaitingOneIsClosedInItsTime) {
  Server server({.idle_timeout = milliseconds(100)});
  Client waits(server);
  waits.ask("later");
  ASSERT_TRUE(server.until([&] { return server.waiting.size() == 1; }));
  Client idle(server);
  idle.ask("hello");
  EXPECT_EQ(idle.hear(), query("hello"));
  const Instant start = net::now();
  EXPECT_EQ(idle.hear(), "<end>");
  EXPECT_LE(net::now() - start, milliseconds(800));
  EXPECT_EQ(server.front.connections(), 1U);
}

TEST(TcpFront, AStuckReaderIsClosedAfterTheIdleTimeout) {
  Server server({.idle_timeout = milliseconds(200)});
  Client client(server, 4096);
  for (int i = 0; i < 200; ++i) client.ask("big 60000");
  ASSERT_TRUE(server.until([&] { return server.front.connections() == 1; }));
  EXPECT_TRUE(server.until([&] { return server.front.connections() == 0; }));
  EXPECT_EQ(server.front.stats().closed_idle, 1U);
}

TEST(TcpFront, OneConnectionTooManyClosesTheLongestIdleOne) {
  Server server({.max_connections = 3});
  Client a(server), b(server), c(server);
  for (Client* client : {&a, &b, &c}) {
    client->ask("hello");
    EXPECT_EQ(client->hear(), query("hello"));
  }
  a.ask("later");  // a waits, so b is now the longest idle
  ASSERT_TRUE(server.until([&] { return server.waiting.size() == 1; }));
  Client d(server);
  EXPECT_EQ(b.hear(), "<end>");
  d.ask("hello");
  EXPECT_EQ(d.hear(), query("hello"));
  EXPECT_EQ(server.front.connections(), 3U);
  EXPECT_EQ(server.front.stats().closed_for_room, 1U);
  server.reply_to_all_waiting();
  EXPECT_EQ(a.hear(), query("later"));
}

TEST(TcpFront, EvenWhereAllWaitThereIsRoomForOneMore) {
  Server server({.max_connections = 2});
  Client a(server), b(server);
  a.ask("later a");
  ASSERT_TRUE(server.until([&] { return server.waiting.size() == 1; }));
  b.ask("later b");
  ASSERT_TRUE(server.until([&] { return server.waiting.size() == 2; }));
  Client c(server);
  EXPECT_EQ(a.hear(), "<end>");
  c.ask("hello");
  EXPECT_EQ(c.hear(), query("hello"));
  server.reply_to_all_waiting();  // a's goes nowhere, and to nobody else
  EXPECT_EQ(b.hear(), query("later b"));
}

TEST(TcpFront, ALowerLimitClosesTheLongestIdleOnes) {
  Server server;
  Client a(server);
  a.ask("hello");
  EXPECT_EQ(a.hear(), query("hello"));
  Client b(server);
  b.ask("hello");
  EXPECT_EQ(b.hear(), query("hello"));
  server.front.set_limits({.max_connections = 1});
  EXPECT_EQ(a.hear(), "<end>");
  b.ask("hello");
  EXPECT_EQ(b.hear(), query("hello"));
}

TEST(TcpFront, AShorterIdleTimeoutHoldsForOpenConnections) {
  Server server({.idle_timeout = seconds(100)});
  Client client(server);
  client.ask("hello");
  EXPECT_EQ(client.hear(), query("hello"));
  server.front.set_limits({.idle_timeout = milliseconds(50)});
  EXPECT_EQ(client.hear(), "<end>");
}

TEST(TcpFront, LessThanAHeaderIsNoDnsAndEndsTheConnectionAfterItsReplies) {
  for (const std::size_t size : {0UL, 1UL, 11UL}) {
    Server server;
    Client client(server);
    client.ask("later");
    client.ask("hello");
    client.send(framed(std::string(size, 'x')));
    client.ask("not heard");
    EXPECT_EQ(client.hear(), query("hello"));
    ASSERT_EQ(server.waiting.size(), 1U);
    server.reply_to_all_waiting();
    EXPECT_EQ(client.hear(), query("later"));
    EXPECT_EQ(client.hear(), "<end>");
    EXPECT_FALSE(client.was_reset);
    EXPECT_EQ(server.seen.size(), 2U);
    client.fd.reset();
    EXPECT_TRUE(server.until([&] { return server.front.connections() == 0; }));
  }
}

TEST(TcpFront, NonsenseThatCameBeforeAPauseEndsTheConnectionAfterIt) {
  Server server({.max_in_flight = 1});
  Client client(server);
  Bytes octets = framed(query("later"));
  octets.insert(octets.end(), {0, 5});  // in the same read, and nothing behind it
  client.send(octets);
  ASSERT_TRUE(server.until([&] { return server.waiting.size() == 1; }));
  server.reply_to_all_waiting();
  EXPECT_EQ(client.hear(), query("later"));
  EXPECT_EQ(client.hear(seconds(2)), "<end>");
}

TEST(TcpFront, WhoeverLingersForTooLongIsClosed) {
  Server server({.idle_timeout = milliseconds(100)});
  Client client(server);
  client.send(framed(""));
  EXPECT_EQ(client.hear(), "<end>");
  EXPECT_TRUE(server.until([&] { return server.front.connections() == 0; }));  // the client never closes its end
}

TEST(TcpFront, ADroppedMessageEndsNothing) {
  Server server;
  Client client(server);
  for (int i = 0; i < 300; ++i) client.ask("drop");  // more than may be in flight
  client.ask("hello");
  EXPECT_EQ(client.hear(), query("hello"));
}

TEST(TcpFront, AnAbandonedQueryEndsTheConnectionAfterTheOthers) {
  Server server;
  Client client(server);
  client.ask("later 1");
  client.ask("later 2");
  ASSERT_TRUE(server.until([&] { return server.waiting.size() == 2; }));
  server.front.send(server.waiting[0].first, bytes(query("a part")), false);
  server.front.abandon(server.waiting[0].first);
  server.front.send(server.waiting[1].first, server.waiting[1].second);
  EXPECT_EQ(client.hear(), query("a part"));
  EXPECT_EQ(client.hear(), query("later 2"));
  EXPECT_EQ(client.hear(), "<end>");
}

TEST(TcpFront, AReplyToAConnectionThatIsGoneReachesNobodyElse) {
  Server server;
  {
    Client gone(server);
    gone.ask("later");
    ASSERT_TRUE(server.until([&] { return server.waiting.size() == 1; }));
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(gone.fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  ASSERT_TRUE(server.until([&] { return server.front.connections() == 0; }));
  Client next(server);  // takes the same place
  next.ask("hello");
  EXPECT_EQ(next.hear(), query("hello"));
  server.reply_to_all_waiting();
  server.front.abandon(server.waiting.empty() ? net::Asker{} : server.waiting[0].first);
  next.ask("hello again");
  EXPECT_EQ(next.hear(), query("hello again"));
}

TEST(TcpFront, AClientThatIsNotAdmittedIsClosedAtOnce) {
  Server server;
  server.admits = false;
  Client client(server);
  EXPECT_EQ(client.hear(), "<end>");
  EXPECT_EQ(server.front.stats().refused, 1U);
  EXPECT_TRUE(server.seen.empty());
}

TEST(TcpFront, ConnectionsOutliveTheirListenerAndThoseWaitingInItAreServed) {
  Server server;
  Client old(server);
  old.ask("hello");
  EXPECT_EQ(old.hear(), query("hello"));
  Client waits(server);  // in the listener's queue: the loop has not run since
  net::Fd listener = bound(SOCK_STREAM, at("127.0.0.1"));
  const IpPort second = local_of(listener.get());
  std::vector<net::Fd> listeners;
  listeners.push_back(std::move(listener));
  server.front.serve(std::move(listeners));
  waits.ask("hello");
  EXPECT_EQ(waits.hear(), query("hello"));
  old.ask("hello");
  EXPECT_EQ(old.hear(), query("hello"));
  server.address = second;
  Client fresh(server);
  fresh.ask("hello");
  EXPECT_EQ(fresh.hear(), query("hello"));
}

TEST(TcpFront, WithoutFreeDescriptorsTheLongestIdleConnectionGoes) {
  Server server;
  Client idle(server);
  idle.ask("hello");
  EXPECT_EQ(idle.hear(), query("hello"));
  Client late(server);  // connected by the kernel, not accepted yet
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const net::Fd next_free(dup(0));
  const rlimit tight{.rlim_cur = static_cast<rlim_t>(next_free.get()) + 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  late.ask("hello");
  const std::string heard = late.hear();
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(heard, query("hello"));
  EXPECT_EQ(idle.hear(), "<end>");
}

TEST(TcpFront, WithoutFreeDescriptorsAndWithNothingToCloseTheLoopDoesNotSpin) {
  Server server;
  Client late(server);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  net::Fd next_free(dup(0));
  const rlimit tight{.rlim_cur = static_cast<rlim_t>(next_free.get()) + 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  timespec cpu_before{}, cpu_after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_before);
  run_for(server.loop, milliseconds(300));
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_after);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(server.front.stats().accepted, 0U);
  EXPECT_LT((cpu_after.tv_sec - cpu_before.tv_sec) * 1000 + (cpu_after.tv_nsec - cpu_before.tv_nsec) / 1'000'000, 150);
  late.ask("hello");
  EXPECT_EQ(late.hear(), query("hello"));  // as soon as there is room
}

TEST(TcpFront, AnIdleConnectionTakesLessThanAKibibyte) {
  if (mallinfo2().uordblks == 0) GTEST_SKIP() << "the sanitizer's malloc does not say";
  Server server;
  constexpr std::size_t kCount = 200;
  std::vector<net::Fd> clients(kCount);
  const std::size_t before = mallinfo2().uordblks;
  for (net::Fd& client : clients) {
    client = connected(SOCK_STREAM, server.address);
    const Bytes one = framed(query("hello"));
    ASSERT_EQ(::send(client.get(), one.data(), one.size(), 0), std::ssize(one));
  }
  ASSERT_TRUE(server.until([&] { return server.seen.size() == kCount; }));
  server.seen = {};
  const std::size_t each = (mallinfo2().uordblks - before) / kCount;
  RecordProperty("octets_a_connection", static_cast<int>(each));
  EXPECT_LT(each, 1024U);
}

// One client with hundreds of connections kept the UDP sockets of its worker waiting until all of them were served.
TEST(TcpFront, ATurnOfTheLoopEndsHoweverManyConnectionsAreBusy) {
  constexpr std::size_t kConnections = 60, kPipelined = 100;
  Server server;
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < kConnections; ++i) clients.push_back(std::make_unique<Client>(server));
  ASSERT_TRUE(server.until([&] { return server.front.connections() == kConnections; }));
  Bytes pipeline;
  for (std::size_t i = 0; i < kPipelined; ++i) {
    const Bytes one = framed(query("hello"));
    pipeline.insert(pipeline.end(), one.begin(), one.end());
  }
  for (auto& client : clients) client->send(pipeline);
  std::size_t most = 0, before = 0;
  ASSERT_TRUE(server.until([&] {
    most = std::max(most, server.seen.size() - before);
    before = server.seen.size();
    return before == kConnections * kPipelined;
  }));
  EXPECT_LE(most, 128 + net::SocketSet::kAtOnce * kPipelined);
  for (auto& client : clients) EXPECT_EQ(client->hear(), query("hello"));
}

TEST(TcpFront, ATurnEndsAlsoWhenManyGoOnAfterAPause) {
  constexpr std::size_t kConnections = 40, kPipelined = 200;
  Server server({.max_in_flight = 4});
  std::vector<std::unique_ptr<Client>> clients;
  Bytes pipeline;
  for (std::size_t i = 0; i < kPipelined; ++i) {
    const Bytes one = framed(query(i < 4 ? "later" : "hello"));
    pipeline.insert(pipeline.end(), one.begin(), one.end());
  }
  for (std::size_t i = 0; i < kConnections; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    clients.back()->send(pipeline);
  }
  ASSERT_TRUE(server.until([&] { return server.waiting.size() == 4 * kConnections; }));
  std::size_t most = 0, before = server.seen.size();
  server.reply_to_all_waiting();
  ASSERT_TRUE(server.until([&] {
    most = std::max(most, server.seen.size() - before);
    before = server.seen.size();
    return before == kConnections * kPipelined;
  }));
  EXPECT_LE(most, 2 * (128 + kPipelined));
}

}  // namespace
}  // namespace har::front
