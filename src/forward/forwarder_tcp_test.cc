// The forwarder over TCP: kept connections, who shares them, and zone transfers.
#include <algorithm>
#include <map>
#include <set>

#include "forward/forwarder.h"
#include "forward/forwarding_test.h"

namespace har::forward {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct ForwarderTcpTest : ForwardingTest {
  // Nobody is asked a second time before the test gives up.
  void have_no_second_tries() {
    options.resolver_timeout = seconds(20);
    options.total_timeout = seconds(30);
  }
};

void silent(const Heard&) {}

// As many as there may be to one upstream.
constexpr std::uint16_t kMostConnections = 16;

// How many queries came on each connection, by its number.
std::map<int, int> by_connection(const std::vector<Heard>& heard) {
  std::map<int, int> out;
  for (const Heard& one : heard) ++out[one.connection];
  return out;
}

void close_after_each_answer(FakeUpstream& upstream) {
  upstream.on_query = [&upstream](const Heard& heard) {
    upstream.reply(heard, make_reply(heard.query));
    upstream.close_connection(heard.connection);
  };
}

// Answers the last of all that came first, as soon as there are so many.
void answer_in_reverse(FakeUpstream& upstream, std::size_t count) {
  upstream.heard.clear();
  upstream.on_query = [&upstream, count](const Heard&) {
    if (upstream.heard.size() < count) return;
    for (auto it = upstream.heard.rbegin(); it != upstream.heard.rend(); ++it)
      upstream.reply(*it, make_reply(it->query));
  };
}

TEST_F(ForwarderTcpTest, AConnectionThatBroughtAReplyOutOfOrderIsSharedAndRepliesComeInAnyOrder) {
  FakeUpstream& upstream = add_upstream();
  start();
  answer_in_reverse(upstream, kMostConnections + 1);
  for (std::uint16_t i = 0; i <= kMostConnections; ++i) ask(make_query("example.com", i), true, i);
  ASSERT_TRUE(until_given(kMostConnections + 1));
  const std::map<int, int> first = by_connection(upstream.heard);
  const auto at = std::find_if(first.begin(), first.end(), [](const auto& one) { return one.second == 2; });
  ASSERT_NE(at, first.end()) << "one of them had to be shared, and has shown that it can";
  const int shared = at->first;
  for (int number = 1; number <= kMostConnections; ++number) {
    if (number != shared) upstream.close_connection(number);
  }
  serve_for(milliseconds(50));

  given.clear();
  answer_in_reverse(upstream, 20);
  for (std::uint16_t i = 0; i < 20; ++i) ask(make_query("example.com", i), true, i);
  ASSERT_TRUE(until_given(20));
  EXPECT_EQ(by_connection(upstream.heard), (std::map<int, int>{{shared, 20}}));
  std::set<std::uint16_t> ids;
  for (const Heard& heard : upstream.heard) ids.insert(heard.id());
  EXPECT_EQ(ids.size(), 20U);
  for (std::uint16_t i = 0; i < 20; ++i) {
    EXPECT_EQ(given[i].tag, 19U - i);
    EXPECT_EQ(given[i].reply, make_reply(make_query("example.com", static_cast<std::uint16_t>(19 - i))));
  }

  // Up to thirty-two; the others have their own.
  given.clear();
  answer_in_reverse(upstream, 35);
  for (std::uint16_t i = 0; i < 35; ++i) ask(make_query("example.com", i), true, i);
  ASSERT_TRUE(until_given(35));
  EXPECT_EQ(by_connection(upstream.heard).at(shared), 32);
  EXPECT_EQ(by_connection(upstream.heard).size(), 4U);
}

// Upstreams that work a connection off in order let one client's slow name hold back the others'.
TEST_F(ForwarderTcpTest, ASlowNameHoldsNobodyElseBackWhereTheUpstreamAnswersInOrder) {
  options.resolver_timeout = seconds(5);
  options.total_timeout = seconds(10);
  FakeUpstream& upstream = add_upstream();
  const Bytes slow = make_query("slow.example.com", 1);
  std::map<int, std::vector<Heard>> waiting;  // by connection, behind a slow one
  upstream.on_query = [&](const Heard& heard) {
    if (heard.query.size() == slow.size() || !waiting[heard.connection].empty()) {
      return waiting[heard.connection].push_back(heard);
    }
    upstream.reply(heard, make_reply(heard.query));
  };
  start();
  ask(make_query("example.com", 7), true);  // there is a kept connection
  ASSERT_TRUE(until_given(1));
  ask(slow, true, 1);
  for (std::uint16_t i = 2; i < 10; ++i) ask(make_query("example.com", i), true, i);
  ASSERT_TRUE(until_given(9));
  for (const Given& one : given) EXPECT_NE(one.tag, 1U);
  for (std::uint16_t i = 10; i < 18; ++i) {
    ask(make_query("example.com", i), true, i);
    ASSERT_TRUE(until_given(i));
  }
  EXPECT_LE(upstream.connections, 9) << "and those that were answered are used again";
  for (const auto& [connection, held] : waiting) {
    for (const Heard& heard : held) upstream.reply(heard, make_reply(heard.query));
  }
  ASSERT_TRUE(until_given(18));
  EXPECT_EQ(given.back().tag, 1U);
  EXPECT_EQ(given.back().ending, Ending::kReply);
}

// Eight clients at once had two answers at once, two a second later and four SERVFAIL.
TEST_F(ForwarderTcpTest, AnUpstreamThatClosesAfterEachAnswerAnswersEightClientsAtOnce) {
  have_no_second_tries();
  FakeUpstream& upstream = add_upstream();
  close_after_each_answer(upstream);
  start();
  for (std::uint16_t i = 0; i < 8; ++i) ask(make_query("example.com", i), true);
  ASSERT_TRUE(until_given(8));
  EXPECT_EQ(upstream.connections, 8);
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kReply);
}

TEST_F(ForwarderTcpTest, WhereMoreClientsThanConnectionsMeetSuchAnUpstreamTheyGoOnUntilAllAreAnswered) {
  have_no_second_tries();
  FakeUpstream& upstream = add_upstream();
  close_after_each_answer(upstream);
  start();
  for (std::uint16_t i = 0; i < 100; ++i) ask(make_query("example.com", i), true);
  ASSERT_TRUE(until_given(100));
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kReply);
  EXPECT_EQ(upstream.connections, 100);
}

// The failure of a write was seen first, and the reply that lay there was lost.
TEST_F(ForwarderTcpTest, AReplyThatCameBeforeTheConnectionEndedCountsThoughMoreWasToBeWritten) {
  have_no_second_tries();
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = silent;
  start();
  for (std::uint16_t i = 0; i < kMostConnections; ++i) ask(make_query("example.com", i), true, i);
  ASSERT_TRUE(until([&] { return upstream.heard.size() == kMostConnections; }));
  upstream.on_query = [&](const Heard& heard) { upstream.reply(heard, make_reply(heard.query)); };
  for (const Heard& heard : upstream.heard) upstream.reply(heard, make_reply(heard.query));
  upstream.close_connection(1);
  // All are busy still as far as we know: each gets two more, of which the first is reset and the second not written.
  for (std::uint16_t i = 0; i < 2 * kMostConnections; ++i) ask(make_query("example.org", i), true, 100U + i);
  ASSERT_TRUE(until_given(3U * kMostConnections));
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kReply);
  EXPECT_LE(upstream.connections, kMostConnections + 2) << "those two went elsewhere, and nothing else did";
}

TEST_F(ForwarderTcpTest, AQueryIsSentAgainAFewTimesOnlyWhereEveryConnectionEndsWithAnAnswerToNobody) {
  have_no_second_tries();
  FakeUpstream& upstream = add_upstream();
  add_upstream().on_query = [&](const Heard& heard) { upstreams[1].reply(heard, make_reply(heard.query, 3)); };
  upstream.on_query = [&](const Heard& heard) {
    Bytes wrong = make_reply(heard.query);
    wrong[0] ^= 1;
    upstream.reply(heard, wrong);
    upstream.close_connection(heard.connection);
  };
  start();
  ask(make_query("example.com", 1), true);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].reply, make_reply(make_query("example.com", 1), 3)) << "the next one's";
  ASSERT_TRUE(until([&] { return upstream.connections == 9; }));
  serve_for(milliseconds(100));
  EXPECT_EQ(upstream.connections, 9);
}

TEST_F(ForwarderTcpTest, AConnectionIsKeptForTheNextQueryAndClosedWhenIdle) {
  options.tcp_idle_timeout = milliseconds(300);
  FakeUpstream& upstream = add_upstream();
  start();
  ask(make_query("example.com", 1), true);
  ASSERT_TRUE(until_given(1));
  ask(make_query("example.com", 2), true);
  ASSERT_TRUE(until_given(2));
  EXPECT_EQ(upstream.connections, 1);
  serve_for(milliseconds(800));
  ask(make_query("example.com", 3), true);
  ASSERT_TRUE(until_given(3));
  EXPECT_EQ(upstream.connections, 2);
}

TEST_F(ForwarderTcpTest, EachQueryHasAConnectionUpToSixteenWhichAreSharedEvenlyThen) {
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard&) {
    if (upstream.heard.size() < 300) return;
    for (const Heard& heard : upstream.heard) upstream.reply(heard, make_reply(heard.query));
  };
  start();
  for (std::uint16_t i = 0; i < 300; ++i) ask(make_query("example.com", i), true);
  ASSERT_TRUE(until_given(300));
  EXPECT_EQ(upstream.connections, kMostConnections);
  for (const auto& [number, count] : by_connection(upstream.heard)) EXPECT_LE(count, 19) << number;
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kReply);
}

TEST_F(ForwarderTcpTest, AKeptConnectionThatBreaksIsTriedOnceAfresh) {
  FakeUpstream& upstream = add_upstream();
  start();
  ask(make_query("example.com", 1), true);
  ASSERT_TRUE(until_given(1));
  upstream.on_query = [&](const Heard& heard) {
    if (heard.connection == 1) {
      upstream.close_connection(1);
    } else {
      upstream.reply(heard, make_reply(heard.query));
    }
  };
  const Instant begin = net::now();
  for (std::uint16_t i = 2; i < 7; ++i) ask(make_query("example.com", i), true);
  ASSERT_TRUE(until_given(6));
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kReply);
  // The first of the five went to the kept one and then to one of its own, as the other four had from the beginning.
  EXPECT_EQ(upstream.connections, 6);
  EXPECT_LT(given.back().at - begin, milliseconds(90));
}

TEST_F(ForwarderTcpTest, AnIdleConnectionThatTheUpstreamClosedIsNoTrouble) {
  FakeUpstream& upstream = add_upstream();
  start();
  ask(make_query("example.com", 1), true);
  ASSERT_TRUE(until_given(1));
  upstream.close_connections();
  ask(make_query("example.com", 2), true);  // before the loop has seen the end
  ASSERT_TRUE(until_given(2));
  EXPECT_EQ(given[1].ending, Ending::kReply);
}

TEST_F(ForwarderTcpTest, ANewConnectionThatBreaksMovesOnAtOnce) {
  FakeUpstream& first = add_upstream();
  add_upstream();
  first.on_query = [&](const Heard& heard) { first.close_connection(heard.connection); };
  start();
  const Instant begin = net::now();
  ask(make_query("example.com", 1), true);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_EQ(first.connections, 1);
  EXPECT_LT(given[0].at - begin, milliseconds(90));
}

TEST_F(ForwarderTcpTest, ARefusedConnectionMovesOnAtOnce) {
  FakeUpstream& first = add_upstream();
  add_upstream();
  first.close_listener();
  start();
  const Instant begin = net::now();
  for (std::uint16_t i = 0; i < 10; ++i) ask(make_query("example.com", i), true);
  ASSERT_TRUE(until_given(10));
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kReply);
  EXPECT_LT(given.back().at - begin, milliseconds(90));
}

TEST_F(ForwarderTcpTest, AConnectionThatFellSilentIsNotUsedForTheSecondTry) {
  options.resolver_timeout = milliseconds(200);
  FakeUpstream& upstream = add_upstream();
  start();
  ask(make_query("example.com", 1), true);
  ASSERT_TRUE(until_given(1));
  upstream.on_query = [&](const Heard& heard) {
    if (heard.connection > 1) upstream.reply(heard, make_reply(heard.query));
  };
  ask(make_query("example.com", 2), true);
  ASSERT_TRUE(until_given(2));
  EXPECT_EQ(given[1].ending, Ending::kReply);
  EXPECT_EQ(upstream.connections, 2);
}

TEST_F(ForwarderTcpTest, TheLastReplyOnARetiredConnectionIsPassedOnBeforeItsBufferGoes) {
  options.resolver_timeout = milliseconds(200);
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard& heard) {
    // The second try has retired the first one's connection: nothing else is outstanding there.
    if (heard.connection > 1) upstream.reply(upstream.heard[0], make_reply(upstream.heard[0].query));
  };
  start();
  ask(make_query("example.com", 1), true);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_EQ(given[0].reply, make_reply(make_query("example.com", 1)));
}

TEST_F(ForwarderTcpTest, AReplyMayComeOctetByOctet) {
  FakeUpstream& upstream = add_upstream();
  std::vector<std::unique_ptr<net::Timer>> timers;
  upstream.on_query = [&](const Heard& heard) {
    const Bytes reply = make_reply(heard.query);
    Bytes framed{0, static_cast<std::uint8_t>(reply.size())};
    framed.insert(framed.end(), reply.begin(), reply.end());
    for (std::size_t i = 0; i < framed.size(); ++i) {
      timers.push_back(std::make_unique<net::Timer>(
          loop, [&upstream, one = framed[i], number = heard.connection] { upstream.write(number, {one}); }));
      timers.back()->set(milliseconds(i));
    }
  };
  start();
  ask(make_query("example.com", 0xFFFE), true);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].reply, make_reply(make_query("example.com", 0xFFFE)));
}

TEST_F(ForwarderTcpTest, AReplyOfTheLargestSizePasses) {
  FakeUpstream& upstream = add_upstream();
  Bytes big;
  upstream.on_query = [&](const Heard& heard) {
    big = make_reply(heard.query);
    big.resize(65'535, 0x5A);
    upstream.reply(heard, big);
    upstream.reply(heard, make_reply(heard.query));  // one too many: ignored
  };
  start();
  ask(make_query("example.com", 1), true);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].reply.size(), 65'535U);
  EXPECT_TRUE(std::equal(big.begin() + 2, big.end(), given[0].reply.begin() + 2));
  ASSERT_TRUE(until([&] { return forwarder->stats().rejected == 1; }));
}

TEST_F(ForwarderTcpTest, HealthOverTcpIsApartFromUdpAndComesBack) {
  options.resolver_timeout = milliseconds(100);
  options.total_timeout = milliseconds(200);
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard& heard) {
    if (!heard.tcp) upstream.reply(heard, make_reply(heard.query));
  };
  start();
  std::vector<bool> changes;
  forwarder->tcp_health_changed = [&](const IpPort&, bool alive) { changes.push_back(alive); };
  forwarder->health_changed = [&](const IpPort&, bool) { ADD_FAILURE(); };
  for (std::uint16_t i = 0; i < 3; ++i) ask(make_query("example.com", i), true);
  for (std::uint16_t i = 0; i < 3; ++i) ask(make_query("example.com", i));
  ASSERT_TRUE(until([&] { return changes.size() == 1; }));
  EXPECT_FALSE(changes[0]);
  ASSERT_TRUE(until([&] { return upstream.probes.size() == 1; }));
  EXPECT_TRUE(upstream.probes[0].tcp);
  upstream.answer_probes = true;
  ASSERT_TRUE(until([&] { return changes.size() == 2; }));
  EXPECT_TRUE(changes[1]);
}

// A zone transfer's message: records are 's' (SOA with `serial`) and 'a'.
Bytes zone_message(const Bytes& query, const std::string& records, std::uint32_t serial, bool question = true) {
  Bytes out(query.begin(), query.begin() + 12);
  out[2] |= 0x84;
  out[5] = question ? 1 : 0;
  out[7] = static_cast<std::uint8_t>(records.size());
  out[9] = out[11] = 0;
  if (question) out.insert(out.end(), query.begin() + 12, query.end());
  for (const char record : records) {
    const Bytes owner{4, 'z', 'o', 'n', 'e', 0};
    out.insert(out.end(), owner.begin(), owner.end());
    Bytes rest{0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
    if (record == 's') {
      rest = {0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0};
      for (int shift = 24; shift >= 0; shift -= 8) rest.push_back(static_cast<std::uint8_t>(serial >> shift));
      rest.resize(rest.size() + 16);
    }
    out.insert(out.end(), rest.begin(), rest.end());
  }
  return out;
}

TEST_F(ForwarderTcpTest, AZoneTransferIsRelayedMessageByMessageOverItsOwnConnection) {
  FakeUpstream& upstream = add_upstream();
  std::vector<Bytes> sent;
  upstream.on_query = [&](const Heard& heard) {
    if (heard.query.size() > 30) return upstream.reply(heard, make_reply(heard.query));
    sent = {zone_message(heard.query, "saa", 7), zone_message(heard.query, "aaaa", 7, false),
            zone_message(heard.query, "as", 7, false)};
    for (const Bytes& message : sent) upstream.reply(heard, message);
  };
  start();
  ask(make_query("a-long-enough-name.example.com", 1), true, 1);
  ASSERT_TRUE(until_given(1));
  ask(make_query("zone", 0xABCD, dns::kTypeAxfr), true, 2, true);
  ASSERT_TRUE(until_given(4));
  EXPECT_EQ(upstream.connections, 2);
  EXPECT_EQ(given[1].ending, Ending::kMore);
  EXPECT_EQ(given[2].ending, Ending::kMore);
  EXPECT_EQ(given[3].ending, Ending::kReply);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(given[i + 1].tag, 2U);
    EXPECT_EQ(given[i + 1].query, make_query("zone", 0xABCD, dns::kTypeAxfr));
    Bytes expected = sent[i];
    expected[0] = 0xAB;
    expected[1] = 0xCD;
    EXPECT_EQ(given[i + 1].reply, expected);
  }
  EXPECT_EQ(forwarder->in_flight(), 0U);
}

TEST_F(ForwarderTcpTest, ATransferThatBreaksInItsMiddleIsBroken) {
  FakeUpstream& upstream = add_upstream();
  add_upstream();
  upstream.on_query = [&](const Heard& heard) {
    upstream.reply(heard, zone_message(heard.query, "saa", 7));
    upstream.close_connection(heard.connection);
  };
  start();
  ask(make_query("zone", 1, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until_given(2));
  EXPECT_EQ(given[0].ending, Ending::kMore);
  EXPECT_EQ(given[1].ending, Ending::kBroken);
  EXPECT_TRUE(upstreams[1].heard.empty());
}

TEST_F(ForwarderTcpTest, ATransferGoesToTheNextUpstreamUntilOneGivesIt) {
  FakeUpstream& refusing = add_upstream();
  FakeUpstream& unwilling = add_upstream();
  FakeUpstream& closing = add_upstream();
  FakeUpstream& giving = add_upstream();
  refusing.close_listener();
  unwilling.on_query = [&](const Heard& heard) { unwilling.reply(heard, make_reply(heard.query, dns::kRefused)); };
  closing.on_query = [&](const Heard& heard) { closing.close_connection(heard.connection); };
  giving.on_query = [&](const Heard& heard) { giving.reply(heard, zone_message(heard.query, "sas", 7)); };
  start();
  ask(make_query("zone", 1, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_EQ(given[0].reply, zone_message(make_query("zone", 1, dns::kTypeAxfr), "sas", 7));
}

TEST_F(ForwarderTcpTest, WhereNobodyGivesATransferTheFirstBadReplyIsPassedOn) {
  FakeUpstream& unwilling = add_upstream();
  add_upstream().close_listener();
  unwilling.on_query = [&](const Heard& heard) { unwilling.reply(heard, make_reply(heard.query, dns::kRefused)); };
  start();
  ask(make_query("zone", 0x0102, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_EQ(given[0].reply, make_reply(make_query("zone", 0x0102, dns::kTypeAxfr), dns::kRefused));
}

TEST_F(ForwarderTcpTest, ATransferOfASilentUpstreamEndsAfterTheIdleLimit) {
  options.transfer_idle_timeout = milliseconds(150);
  add_upstream().on_query = silent;
  start();
  ask(make_query("zone", 1, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kNoUpstream);
}

// Three that were slow to begin made their upstream dead over TCP.
TEST_F(ForwarderTcpTest, TransfersThatAreSlowToBeginMakeNoUpstreamDead) {
  options.resolver_timeout = milliseconds(100);
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard& heard) {
    upstream.reply_after(milliseconds(1500), heard, zone_message(heard.query, "sas", 7));
  };
  start();
  forwarder->tcp_health_changed = [&](const IpPort&, bool) { ADD_FAILURE(); };
  for (std::uint16_t i = 0; i < 4; ++i) ask(make_query("zone", i, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until_given(4));
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kReply);
  EXPECT_TRUE(upstream.probes.empty());
}

TEST_F(ForwarderTcpTest, AnUpstreamThatClosesTransfersWithoutAWordIsNotDead) {
  options.resolver_timeout = milliseconds(100);
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard& heard) { upstream.close_connection(heard.connection); };
  start();
  forwarder->tcp_health_changed = [&](const IpPort&, bool) { ADD_FAILURE(); };
  for (std::uint16_t i = 0; i < 4; ++i) ask(make_query("zone", i, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until_given(4));
  serve_for(milliseconds(1200));  // a death would come after a second of nothing
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kNoUpstream);
  EXPECT_TRUE(upstream.probes.empty());
}

TEST_F(ForwarderTcpTest, TransfersHaveALimit) {
  options.max_transfers = 1;
  add_upstream().on_query = silent;
  start();
  ask(make_query("zone", 1, dns::kTypeAxfr), true, 1, true);
  ask(make_query("zone", 2, dns::kTypeAxfr), true, 2, true);
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].ending, Ending::kOverload);
  EXPECT_EQ(given[0].tag, 2U);
}

TEST_F(ForwarderTcpTest, ASlowClientHoldsItsTransferBack) {
  FakeUpstream& upstream = add_upstream();
  int connection = 0;
  upstream.on_query = [&](const Heard& heard) {
    connection = heard.connection;
    upstream.reply(heard, zone_message(heard.query, "s", 7));
    Bytes padded = zone_message(heard.query, "aaaa", 7);
    padded.resize(60'000);  // what follows the records is nobody's business
    for (int i = 0; i < 1000; ++i) upstream.reply(heard, padded);
    upstream.reply(heard, zone_message(heard.query, "s", 7));
  };
  start();
  std::size_t queued = 0;
  std::size_t most = 0;
  std::size_t counted = 0;
  forwarder->backlog = [&](const net::Asker& who) {
    EXPECT_EQ(who.serial, 4711U);
    for (; counted < given.size(); ++counted) queued += given[counted].reply.size();
    most = std::max(most, queued);
    return queued;
  };
  ask(make_query("zone", 1, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until([&] { return queued > 256 * 1024; }));
  const std::size_t before = given.size();
  serve_for(milliseconds(100));
  EXPECT_EQ(given.size(), before);  // nothing is taken from the upstream meanwhile
  EXPECT_GT(upstream.unsent(connection), 0U);
  net::Timer client(loop, [&] {
    queued = 0;
    client.set(milliseconds(1));
  });
  client.set(milliseconds(1));
  ASSERT_TRUE(until_given(1002));
  EXPECT_EQ(given.back().ending, Ending::kReply);
  EXPECT_LT(most, 512U * 1024);
}

// It went on to its end, and sixty-four of them left no room for anybody else's.
TEST_F(ForwarderTcpTest, ATransferEndsWhenItsClientHasLeft) {
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard& heard) {
    upstream.reply(heard, zone_message(heard.query, "s", 7));
    Bytes padded = zone_message(heard.query, "aaaa", 7);
    padded.resize(60'000);
    for (int i = 0; i < 1000; ++i) upstream.reply(heard, padded);
    upstream.reply(heard, zone_message(heard.query, "s", 7));
  };
  start();
  forwarder->backlog = [&](const net::Asker&) -> std::optional<std::size_t> {
    if (given.size() < 5) return 0;
    return std::nullopt;
  };
  ask(make_query("zone", 1, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until([&] { return !given.empty() && given.back().ending == Ending::kBroken; }));
  EXPECT_LT(given.size(), 20U);
  EXPECT_EQ(upstream.heard.size(), 1U) << "nobody else is asked";
}

TEST_F(ForwarderTcpTest, TransfersWhoseClientsHaveLeftMakeNoUpstreamDead) {
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard& heard) { upstream.reply(heard, zone_message(heard.query, "sas", 7)); };
  int deaths = 0;
  start();
  forwarder->tcp_health_changed = [&](const IpPort&, bool alive) { deaths += alive ? 0 : 1; };
  forwarder->backlog = [](const net::Asker&) -> std::optional<std::size_t> { return std::nullopt; };
  for (std::size_t i = 1; i <= 8; ++i) {
    ask(make_query("zone", 1, dns::kTypeAxfr), true, 0, true);
    ASSERT_TRUE(until_given(i));
    EXPECT_EQ(given.back().ending, Ending::kBroken);
  }
  serve_for(milliseconds(1200));
  EXPECT_EQ(deaths, 0);
}

TEST_F(ForwarderTcpTest, ATransferThatHasNotBegunEndsWithinASecondOfItsClientsLeaving) {
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = silent;
  FakeUpstream& other = add_upstream();
  start();
  forwarder->backlog = [](const net::Asker&) -> std::optional<std::size_t> { return std::nullopt; };
  ask(make_query("zone", 1, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kBroken);
  EXPECT_TRUE(other.heard.empty());
}

}  // namespace
}  // namespace har::forward
