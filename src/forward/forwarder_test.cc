#include "forward/forwarder.h"

#include <algorithm>
#include <map>
#include <set>

#include "forward/forwarding_test.h"
#include "forward/pending.h"

namespace har::forward {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct ForwarderTest : ForwardingTest {};

void silent(const Heard&) {}

TEST_F(ForwarderTest, NothingButTheMessageIdIsChangedOnTheWayOutAndItIsRestoredOnTheWayBack) {
  FakeUpstream& upstream = add_upstream();
  Bytes sent_back;
  upstream.on_query = [&](const Heard& heard) {
    sent_back = make_reply(heard.query);
    sent_back[3] |= 0x60;  // Z and AD
    upstream.reply(heard, sent_back);
  };
  start();
  Bytes query = make_query("ExAmPlE.com", 0x1234, 65'280);
  query[3] = 0x70;                                                                     // Z, AD, CD
  const Bytes option{0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 6, 0xFF, 0xFA, 0, 2, 7, 8};  // DO and an unknown option
  query.insert(query.end(), option.begin(), option.end());
  query[11] = 1;
  ask(query, false, 99);
  ASSERT_TRUE(until_given(1));
  Bytes out = upstream.heard.at(0).query;
  std::copy(query.begin(), query.begin() + 2, out.begin());
  EXPECT_EQ(out, query);
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_EQ(given[0].tag, 99U);
  EXPECT_EQ(given[0].asker.serial, 4711U);
  EXPECT_EQ(given[0].query, query);
  EXPECT_EQ(given[0].reply[0], 0x12);
  EXPECT_EQ(given[0].reply[1], 0x34);
  std::copy(query.begin(), query.begin() + 2, sent_back.begin());
  EXPECT_EQ(given[0].reply, sent_back);
  EXPECT_EQ(forwarder->in_flight(), 0U);
}

TEST_F(ForwarderTest, ATruncatedReplyPassesAsItIs) {
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard& heard) {
    Bytes reply = make_reply(heard.query);
    reply[2] |= 0x02;
    upstream.reply(heard, reply);
  };
  start();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].reply[2] & 0x02, 0x02);
  EXPECT_EQ(upstream.connections, 0);
}

TEST_F(ForwarderTest, WithoutUpstreamsTheEndComesAtOnce) {
  start();
  ask(make_query("example.com", 1));
  ask(make_query("example.com", 1), true);
  ask(make_query("example.com", 1, dns::kTypeAxfr), true, 0, true);
  ASSERT_EQ(given.size(), 3U);
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kNoUpstream);
  EXPECT_EQ(given[0].query, make_query("example.com", 1));
}

TEST_F(ForwarderTest, ASilentUpstreamCostsAHundredMillisecondsAtFirstContact) {
  FakeUpstream& first = add_upstream();
  FakeUpstream& second = add_upstream();
  first.on_query = silent;
  start();
  const Instant begin = net::now();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_EQ(first.heard.size(), 1U);
  EXPECT_EQ(second.heard.size(), 1U);
  EXPECT_GE(given[0].at - begin, milliseconds(99));
  EXPECT_LT(given[0].at - begin, milliseconds(600));
  EXPECT_NE(first.heard[0].id(), second.heard[0].id());
}

TEST_F(ForwarderTest, TheFirstGoodReplyWinsThoughItBeTheFirstAskedOnes) {
  FakeUpstream& first = add_upstream();
  FakeUpstream& second = add_upstream();
  first.on_query = [&](const Heard& heard) { first.reply_after(milliseconds(200), heard, make_reply(heard.query, 3)); };
  second.on_query = silent;
  start();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].reply, make_reply(make_query("example.com", 1), 3));
  EXPECT_EQ(second.heard.size(), 1U);
}

TEST_F(ForwarderTest, TheFasterOfTwoIsAskedFirstNextTime) {
  FakeUpstream& first = add_upstream();
  FakeUpstream& second = add_upstream();
  first.on_query = [&](const Heard& heard) { first.reply_after(milliseconds(180), heard, make_reply(heard.query)); };
  start();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(1));   // the second won
  serve_for(milliseconds(250));  // the first one's late reply is heard all the same
  EXPECT_EQ(forwarder->stats().rejected, 0U);
  ask(make_query("example.org", 2));
  ASSERT_TRUE(until_given(2));
  EXPECT_EQ(first.heard.size(), 1U);
  EXPECT_EQ(second.heard.size(), 2U);
}

TEST_F(ForwarderTest, ARefusalMovesOnAtOnce) {
  FakeUpstream& first = add_upstream();
  add_upstream();
  first.close_udp();
  start();
  serve_for(milliseconds(20));  // the loop query is refused as well
  const Instant begin = net::now();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_LT(given[0].at - begin, milliseconds(90));
}

TEST_F(ForwarderTest, ABurstTowardsARefusingUpstreamLosesNothing) {
  options.sockets_per_upstream = 2;  // refusals are met while sending
  FakeUpstream& first = add_upstream();
  add_upstream();
  first.close_udp();
  start();
  const Instant begin = net::now();
  for (std::uint16_t i = 0; i < 200; ++i) ask(make_query("example.com", i));
  ASSERT_TRUE(until_given(200));
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kReply);
  EXPECT_LT(given.back().at - begin, milliseconds(500));
}

TEST_F(ForwarderTest, ABadReplyAsksTheNextAtOnce) {
  FakeUpstream& first = add_upstream();
  add_upstream();
  first.on_query = [&](const Heard& heard) { first.reply(heard, make_reply(heard.query, dns::kServFail)); };
  start();
  const Instant begin = net::now();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].reply, make_reply(make_query("example.com", 1)));
  EXPECT_LT(given[0].at - begin, milliseconds(90));
}

TEST_F(ForwarderTest, WhereNoneIsGoodTheFirstBadOneIsPassedOn) {
  FakeUpstream& first = add_upstream();
  FakeUpstream& second = add_upstream();
  first.on_query = [&](const Heard& heard) { first.reply(heard, make_reply(heard.query, dns::kRefused)); };
  second.on_query = [&](const Heard& heard) { second.reply(heard, make_reply(heard.query, dns::kServFail)); };
  start();
  ask(make_query("example.com", 0x0807));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_EQ(given[0].reply, make_reply(make_query("example.com", 0x0807), dns::kRefused));
}

TEST_F(ForwarderTest, TheOnlyUpstreamIsAskedTwiceAndThenThereIsNoReply) {
  options.resolver_timeout = milliseconds(200);
  options.total_timeout = milliseconds(400);
  FakeUpstream& only = add_upstream();
  only.on_query = silent;
  start();
  const Instant begin = net::now();
  ask(make_query("example.com", 7));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kNoUpstream);
  EXPECT_EQ(given[0].query, make_query("example.com", 7));
  EXPECT_GE(given[0].at - begin, milliseconds(400));
  EXPECT_LT(given[0].at - begin, milliseconds(700));
  ASSERT_EQ(only.heard.size(), 2U);
  EXPECT_GE(only.heard[1].at - begin, milliseconds(199));
  EXPECT_NE(only.heard[0].from.port, only.heard[1].from.port);  // a silent socket is not trusted again
}

TEST_F(ForwarderTest, ALateGoodReplyStillWins) {
  options.resolver_timeout = milliseconds(100);
  options.total_timeout = seconds(5);
  FakeUpstream& only = add_upstream();
  only.on_query = [&](const Heard& heard) {
    if (only.heard.size() == 1) only.reply_after(milliseconds(250), heard, make_reply(heard.query));
  };
  start();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_GE(only.heard.size(), 2U);
}

TEST_F(ForwarderTest, ADeadUpstreamIsPassedOverAskedForTheRootEverySecondAndTakenBackWhenItAnswers) {
  options.resolver_timeout = milliseconds(100);
  FakeUpstream& first = add_upstream();
  add_upstream();
  first.on_query = silent;
  start();
  std::vector<bool> changes;
  forwarder->health_changed = [&](const IpPort& which, bool alive) {
    EXPECT_EQ(which, first.address());
    changes.push_back(alive);
  };
  for (std::uint16_t i = 0; i < 3; ++i) ask(make_query("example.com", i));
  ASSERT_TRUE(until([&] { return !changes.empty(); }));
  EXPECT_FALSE(changes[0]);
  EXPECT_EQ(given.size(), 3U);
  ASSERT_TRUE(until([&] { return first.probes.size() == 2; }));
  EXPECT_GE(first.probes[1].at - first.probes[0].at, milliseconds(900));
  EXPECT_LE(first.probes[1].at - first.probes[0].at, milliseconds(1300));
  const std::size_t heard = first.heard.size();
  ask(make_query("example.com", 5));
  ASSERT_TRUE(until_given(4));
  EXPECT_EQ(first.heard.size(), heard);
  first.answer_probes = true;
  ASSERT_TRUE(until([&] { return changes.size() == 2; }));
  EXPECT_TRUE(changes[1]);
}

TEST_F(ForwarderTest, WhereAllAreDeadAllAreAskedAtOnce) {
  options.resolver_timeout = milliseconds(50);
  options.total_timeout = milliseconds(400);
  for (int i = 0; i < 3; ++i) add_upstream().on_query = silent;
  start();
  int dead = 0;
  forwarder->health_changed = [&](const IpPort&, bool alive) { dead += alive ? 0 : 1; };
  for (std::uint16_t i = 0; i < 4; ++i) ask(make_query("example.com", i));
  ASSERT_TRUE(until([&] { return dead == 3; }));
  for (FakeUpstream& upstream : upstreams) upstream.heard.clear();
  FakeUpstream& last = upstreams.back();
  last.on_query = [&](const Heard& heard) { last.reply(heard, make_reply(heard.query)); };
  given.clear();
  const Instant begin = net::now();
  ask(make_query("example.org", 9));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_LT(given[0].at - begin, milliseconds(45));
}

TEST_F(ForwarderTest, ForgedRepliesAreIgnoredAndTheRightOneIsTaken) {
  FakeUpstream& upstream = add_upstream();
  auto stranger = net::bind_udp(IpPort{*IpAddress::parse("127.0.0.1"), 0, 0}, {});
  ASSERT_TRUE(stranger);
  upstream.on_query = [&](const Heard& heard) {
    const Bytes right = make_reply(heard.query);
    Bytes wrong_id = right;
    wrong_id[1] ^= 1;
    upstream.reply(heard, wrong_id);
    Bytes wrong_question = right;
    wrong_question[13] = 'x';
    upstream.reply(heard, wrong_question);
    Bytes no_reply = right;
    no_reply[2] &= 0x7F;
    upstream.reply(heard, no_reply);
    upstream.reply(heard, Bytes{right[0], right[1]});
    const net::SocketAddress to(heard.from);
    Bytes wrong_source = right;
    wrong_source.back() = 66;
    EXPECT_GT(sendto(stranger->get(), wrong_source.data(), wrong_source.size(), 0, &to.generic, to.size()), 0);
    upstream.reply_after(milliseconds(30), heard, right);
  };
  start();
  ask(make_query("example.com", 3));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].reply, make_reply(make_query("example.com", 3)));
  EXPECT_EQ(forwarder->stats().rejected, 4U);  // the stranger's the kernel did not even deliver
  EXPECT_EQ(given.size(), 1U);
}

TEST_F(ForwarderTest, AReplyOnAnotherSocketOfOursDoesNotCount) {
  FakeUpstream& upstream = add_upstream();
  std::vector<Heard> both;
  upstream.on_query = [&](const Heard& heard) {
    both.push_back(heard);
    if (both.size() < 2) return;
    if (both[0].from == both[1].from) return;
    Heard crossed = both[0];
    crossed.from = both[1].from;  // the right upstream, the right ID, the wrong socket
    upstream.reply(crossed, make_reply(both[0].query));
    upstream.reply_after(milliseconds(20), both[1], make_reply(both[1].query));
  };
  options.sockets_per_upstream = 4096;
  start();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until([&] { return both.size() == 1; }));  // those of one turn would share a socket
  ask(make_query("example.org", 2));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].query, make_query("example.org", 2));
  EXPECT_EQ(forwarder->stats().rejected, 1U);
}

TEST_F(ForwarderTest, AMessageWithoutQuestionAnswersANotify) {
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard& heard) {
    upstream.reply(heard, Bytes{heard.query[0], heard.query[1], 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  };
  start();
  Bytes notify = make_query("example.com", 0x5555, dns::kTypeSoa);
  notify[2] = 0x20;
  ask(notify);
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].reply, (Bytes{0x55, 0x55, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(ForwarderTest, TwoThousandInFlightAtASlowUpstreamAllComeBack) {
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = [&](const Heard& heard) {
    upstream.reply_after(milliseconds(400), heard, make_reply(heard.query));
  };
  start();
  std::uint16_t asked = 0;
  std::size_t most = 0;
  while (asked < 2000) {
    for (int i = 0; i < 50; ++i, ++asked)
      ask(make_query("n" + std::to_string(asked) + ".example.com", asked), false, asked);
    most = std::max(most, forwarder->in_flight());
    serve_for(milliseconds(1));
  }
  ASSERT_TRUE(until_given(2000));
  std::set<std::uint32_t> tags;
  for (const Given& one : given) {
    EXPECT_EQ(one.ending, Ending::kReply);
    const auto tag = static_cast<std::uint16_t>(one.tag);
    EXPECT_EQ(one.reply, make_reply(make_query("n" + std::to_string(tag) + ".example.com", tag)));
    tags.insert(tag);
  }
  EXPECT_EQ(tags.size(), 2000U);
  EXPECT_EQ(upstream.heard.size(), 2000U);  // nothing was sent twice
  EXPECT_GT(most, 500U);
  EXPECT_EQ(forwarder->in_flight(), 0U);
  std::set<std::uint16_t> ports;
  std::set<std::uint16_t> ids;
  std::set<std::pair<std::uint16_t, std::uint16_t>> pairs;
  for (const Heard& heard : upstream.heard) {
    ports.insert(heard.from.port);
    ids.insert(heard.id());
    pairs.insert({heard.from.port, heard.id()});
  }
  EXPECT_GT(ports.size(), 24U);  // 80 draws among 64: a new one for each turn of the loop, or 32 queries of it
  EXPECT_GT(ids.size(), 1900U);
  EXPECT_GE(pairs.size(), 1995U);  // a pair may come again once its query has ended
}

TEST_F(ForwarderTest, ASocketIsRenewedAfterAThousandQueries) {
  options.sockets_per_upstream = 1;
  FakeUpstream& upstream = add_upstream();
  start();
  for (std::uint16_t i = 0; i < 2500; ++i) {
    ask(make_query("example.com", i));
    ASSERT_TRUE(until_given(i + 1U));
  }
  std::map<std::uint16_t, int> uses;
  for (const Heard& heard : upstream.heard) ++uses[heard.from.port];
  EXPECT_EQ(uses.size(), 3U);
  for (const auto& [port, count] : uses) EXPECT_LE(count, 1000);
}

TEST_F(ForwarderTest, BeyondMaxInFlightTheOldestIsPushedOut) {
  options.max_in_flight = 3;
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = silent;
  start();
  for (std::uint32_t i = 0; i < 5; ++i) ask(make_query("example.com", static_cast<std::uint16_t>(i)), false, i);
  ASSERT_EQ(given.size(), 2U);
  EXPECT_EQ(given[0].ending, Ending::kOverload);
  EXPECT_EQ(given[0].tag, 0U);
  EXPECT_EQ(given[1].tag, 1U);
  EXPECT_EQ(given[1].query, make_query("example.com", 1));
  EXPECT_EQ(forwarder->in_flight(), 3U);
  EXPECT_EQ(forwarder->stats().overload, 2U);
}

TEST_F(ForwarderTest, AQueryOverFiveHundredAndTwelveOctetsIsForwardedWhole) {
  FakeUpstream& upstream = add_upstream();
  start();
  Bytes query = make_query("example.com", 1);
  query.resize(4000, 0xAB);
  ask(query);
  ask(query, true);
  ASSERT_TRUE(until_given(2));
  ASSERT_EQ(upstream.heard.size(), 2U);
  for (const Heard& heard : upstream.heard) {
    EXPECT_TRUE(std::equal(query.begin() + 2, query.end(), heard.query.begin() + 2, heard.query.end()));
  }
}

// What 16,384 of the largest would hold is more than a small machine has.
TEST_F(ForwarderTest, LargeQueriesAndBadRepliesHoldNoMoreThanTheirBound) {
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = silent;
  start();
  constexpr std::size_t kLarge = 60'000;
  constexpr auto kFits = static_cast<std::uint16_t>(kMostHeld / kLarge);
  Bytes query = make_query("example.com", 1);
  query.resize(kLarge, 0xAB);
  for (std::uint16_t i = 0; i < kFits; ++i) ask(query);
  EXPECT_TRUE(given.empty());
  ask(query);
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].ending, Ending::kOverload);
  EXPECT_EQ(given[0].query, query);
  // Ordinary ones have their own room.
  ask(make_query("example.com", 2));
  EXPECT_EQ(forwarder->in_flight(), kFits + 1U);
  forwarder->end_all();
  ask(query);
  EXPECT_EQ(forwarder->in_flight(), 1U) << "what was let go of is free again";
}

// Where no bad reply can be kept any more, its query still ends.
TEST_F(ForwarderTest, ABadReplyThatThereIsNoRoomForIsAnOverload) {
  FakeUpstream& first = add_upstream();
  FakeUpstream& second = add_upstream();
  options.resolver_timeout = std::chrono::seconds(10);  // none ends before all have been sent, however slow we are
  options.total_timeout = std::chrono::seconds(20);
  constexpr std::size_t kLarge = 60'000;
  Bytes query = make_query("example.com", 1);
  query.resize(kLarge, 0xAB);
  first.on_query = silent;
  second.on_query = silent;
  start();
  for (std::size_t i = 0; i < kMostHeld / kLarge; ++i) ask(query);
  serve_for(milliseconds(500));  // what the upstreams' buffers have taken of them is read
  for (FakeUpstream* upstream : {&first, &second}) {
    upstream->on_query = [upstream](const Heard& heard) {
      Bytes refusal = make_reply(heard.query, dns::kRefused);
      refusal.resize(kLarge, 0);
      if (heard.query.size() < kInlineQuery) upstream->reply(heard, refusal);
    };
  }
  ask(make_query("example.com", 2), false, 7);
  ASSERT_TRUE(
      until([&] { return std::any_of(given.begin(), given.end(), [](const Given& g) { return g.tag == 7; }); }));
  const auto at = std::find_if(given.begin(), given.end(), [](const Given& g) { return g.tag == 7; });
  EXPECT_EQ(at->ending, Ending::kOverload);
  EXPECT_TRUE(at->reply.empty());
}

TEST_F(ForwarderTest, ANewSetOfUpstreamsTakesOverWhatTheOldOneHadNotAnswered) {
  FakeUpstream& old = add_upstream();
  old.on_query = silent;
  start();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until([&] { return old.heard.size() == 1; }));
  FakeUpstream fresh(loop);
  forwarder->set_upstreams({fresh.address()});
  const Instant begin = net::now();
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_LT(given[0].at - begin, milliseconds(100));
}

TEST_F(ForwarderTest, WhatIsInFlightToAnUpstreamThatStaysGoesOn) {
  FakeUpstream& stays = add_upstream();
  stays.on_query = [&](const Heard& heard) { stays.reply_after(milliseconds(50), heard, make_reply(heard.query)); };
  start();
  ask(make_query("example.com", 1));
  ask(make_query("example.com", 2), true);
  FakeUpstream fresh(loop);
  forwarder->set_upstreams({fresh.address(), stays.address()});
  ASSERT_TRUE(until_given(2));
  EXPECT_EQ(stays.heard.size(), 2U);
  EXPECT_EQ(fresh.heard.size(), 0U);
}

// A retired connection was closed before the reply that ended it had been passed on.
TEST_F(ForwarderTest, TheLastReplyOfARetiredTcpConnectionIsPassedOnWhole) {
  FakeUpstream& upstream = add_upstream();
  start();
  upstream.on_query = [&](const Heard& heard) {
    upstream.reply_after(milliseconds(5), heard, make_reply(heard.query));
  };
  ask(make_query("example.com", 77), true);
  ASSERT_TRUE(until([&] { return upstream.heard.size() == 1; }));
  forwarder->begin_anew();
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].reply, make_reply(make_query("example.com", 77)));
}

TEST_F(ForwarderTest, OnAnotherNetworkTheNextQueryTakesANewSocketAndWhatIsInFlightGoesOn) {
  options.sockets_per_upstream = 1;
  FakeUpstream& upstream = add_upstream();
  start();
  ask(make_query("example.com", 1));
  ask(make_query("example.com", 2), true);
  ASSERT_TRUE(until_given(2));
  upstream.on_query = [&](const Heard& heard) {
    upstream.reply_after(milliseconds(heard.id() % 5), heard, make_reply(heard.query));
  };
  ask(make_query("example.com", 3));
  ask(make_query("example.com", 4), true);
  ASSERT_TRUE(until([&] { return upstream.heard.size() == 4; }));
  forwarder->begin_anew();
  ask(make_query("example.com", 5));
  ask(make_query("example.com", 6), true);
  ASSERT_TRUE(until_given(6));
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kReply);
  std::set<std::uint16_t> udp, tcp;
  for (const Heard& heard : upstream.heard) (heard.tcp ? tcp : udp).insert(heard.from.port);
  EXPECT_EQ(udp.size(), 2U);
  EXPECT_EQ(tcp.size(), 2U);
}

TEST_F(ForwarderTest, TheEmptySetEndsWhatIsInFlight) {
  add_upstream().on_query = silent;
  start();
  ask(make_query("example.com", 1));
  forwarder->set_upstreams({});
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].ending, Ending::kNoUpstream);
}

TEST_F(ForwarderTest, EndAllEndsEverything) {
  FakeUpstream& upstream = add_upstream();
  upstream.on_query = silent;
  start();
  ask(make_query("example.com", 1));
  ask(make_query("example.com", 2), true);
  ask(make_query("example.com", 3, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until([&] { return upstream.heard.size() == 3; }));
  forwarder->end_all();
  EXPECT_EQ(given.size(), 3U);
  for (const Given& one : given) EXPECT_EQ(one.ending, Ending::kNoUpstream);
  EXPECT_EQ(forwarder->in_flight(), 0U);
  ask(make_query("example.com", 4));  // it can go on
  EXPECT_EQ(forwarder->in_flight(), 1U);
}

TEST_F(ForwarderTest, AnUpstreamThatLeadsBackToUsIsFoundOnceAndNotUsedAnyMore) {
  FakeUpstream& looping = add_upstream();
  FakeUpstream& good = add_upstream();
  options.loop_secret = {1, 2, 3};
  start();
  std::vector<IpPort> found;
  forwarder->loop_found = [&](const IpPort& upstream) { found.push_back(upstream); };
  ASSERT_TRUE(until([&] { return looping.loop_queries.size() == 1 && good.loop_queries.size() == 1; }));
  EXPECT_FALSE(forwarder->is_own_loop_query(make_query("example.com", 1)));
  Bytes back = looping.loop_queries[0].query;
  back[0] ^= 0x55;  // a resolver on the way gives it another ID
  EXPECT_TRUE(forwarder->is_own_loop_query(back));
  EXPECT_TRUE(forwarder->is_own_loop_query(back));
  EXPECT_EQ(found, std::vector{looping.address()});
  ask(make_query("example.com", 1));
  ask(make_query("example.com", 2), true);
  ASSERT_TRUE(until_given(2));
  EXPECT_TRUE(looping.heard.empty());

  // Another worker of the daemon knows the key but sent other names.
  Forwarder other(loop, options, [](Ending, const net::Asker&, std::uint32_t, auto, auto) {});
  EXPECT_TRUE(other.is_own_loop_query(back));
  other.set_upstreams({looping.address()});
  EXPECT_TRUE(other.is_own_loop_query(back));
  // Another daemon does not.
  options.loop_secret = {};
  Forwarder stranger(loop, options, [](Ending, const net::Asker&, std::uint32_t, auto, auto) {});
  EXPECT_FALSE(stranger.is_own_loop_query(back));
}

// One client's query became a storm when the only loop query was lost, or when who leads back to us started later.
TEST_F(ForwarderTest, ALoopIsFoundWithTheNextClientsQueryThoughTheFirstLoopQueryWasLost) {
  FakeUpstream& upstream = add_upstream();
  start();
  std::vector<IpPort> found;
  forwarder->loop_found = [&](const IpPort& which) { found.push_back(which); };
  ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 1; }));  // and is lost
  serve_for(milliseconds(1100));
  EXPECT_EQ(upstream.loop_queries.size(), 1U) << "nothing moves while nobody asks";
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 2; }));
  ask(make_query("example.com", 2));
  ASSERT_TRUE(until_given(2));
  serve_for(milliseconds(20));
  EXPECT_EQ(upstream.loop_queries.size(), 2U) << "not with every query";
  EXPECT_NE(Bytes(upstream.loop_queries[0].query.begin() + 12, upstream.loop_queries[0].query.end()),
            Bytes(upstream.loop_queries[1].query.begin() + 12, upstream.loop_queries[1].query.end()));
  EXPECT_TRUE(forwarder->is_own_loop_query(upstream.loop_queries[1].query));
  EXPECT_EQ(found, std::vector{upstream.address()});
  ask(make_query("example.com", 3));
  ASSERT_EQ(given.size(), 3U);
  EXPECT_EQ(given[2].ending, Ending::kNoUpstream);
}

TEST_F(ForwarderTest, ALoopQueryThatIsAnsweredIsNotSentAgain) {
  FakeUpstream& upstream = add_upstream();
  upstream.answer_probes = true;
  start();
  ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 1 && forwarder->stats().replies == 1; }));
  serve_for(milliseconds(1100));
  ask(make_query("example.com", 1));
  ask(make_query("example.com", 2), true);
  ASSERT_TRUE(until_given(2));
  serve_for(milliseconds(50));
  EXPECT_EQ(upstream.loop_queries.size(), 1U);
}

TEST_F(ForwarderTest, AQueryOverTcpAndATransferSendALostLoopQueryAgainToo) {
  FakeUpstream& upstream = add_upstream();
  start();
  ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 1; }));
  serve_for(milliseconds(1100));
  ask(make_query("example.com", 1), true);
  ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 2; }));
  serve_for(milliseconds(2100));
  ask(make_query("example.com", 1, dns::kTypeAxfr), true, 0, true);
  ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 3; }));
  for (const Heard& heard : upstream.loop_queries) EXPECT_FALSE(heard.tcp);
}

TEST_F(ForwarderTest, AnUpstreamThatIsAliveAgainIsSearchedForALoopOnceMore) {
  for (const bool tcp : {false, true}) {
    options.resolver_timeout = milliseconds(100);
    FakeUpstream& upstream = add_upstream();
    upstream.answer_probes = true;
    upstream.on_query = silent;
    start();
    ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 1; }));
    serve_for(milliseconds(50));
    for (std::uint16_t i = 0; i < 3; ++i) ask(make_query("example.com", i), tcp);
    ASSERT_TRUE(until([&] { return upstream.probes.size() == 1; }));
    ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 2; }));
    forwarder.reset();
    upstreams.clear();
  }
}

TEST_F(ForwarderTest, OnAnotherNetworkTheUpstreamsAreSearchedForALoopOnceMore) {
  FakeUpstream& upstream = add_upstream();
  FakeUpstream& looping = add_upstream();
  upstream.answer_probes = looping.answer_probes = true;
  const Instant begin = net::now();
  start();
  ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 1 && looping.loop_queries.size() == 1; }));
  forwarder->mark_looping(looping.address());
  serve_for(milliseconds(50));
  forwarder->begin_anew();
  forwarder->begin_anew();  // twice within a second: one query, a second after the last
  ASSERT_TRUE(until([&] { return upstream.loop_queries.size() == 2; }));
  EXPECT_GE(upstream.loop_queries[1].at - begin, seconds(1));
  serve_for(milliseconds(50));
  EXPECT_EQ(upstream.loop_queries.size(), 2U);
  EXPECT_EQ(looping.loop_queries.size(), 1U);
}

TEST_F(ForwarderTest, AnotherWorkersDiscoveryCountsAndWithAllLoopingThereIsNoUpstream) {
  FakeUpstream& upstream = add_upstream();
  start();
  forwarder->loop_found = [](const IpPort&) { ADD_FAILURE(); };
  forwarder->mark_looping(upstream.address());
  ask(make_query("example.com", 1));
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].ending, Ending::kNoUpstream);
  forwarder->set_upstreams({upstream.address()});  // a new set is judged anew
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(2));
  EXPECT_EQ(given[1].ending, Ending::kReply);
}

TEST_F(ForwarderTest, AnotherWorkersDiscoveryCountsAlsoWhereTheListIsFollowedLater) {
  FakeUpstream& upstream = add_upstream();
  start();
  const IpPort other = upstream.address();
  forwarder->set_upstreams({});
  forwarder->mark_looping(other);
  forwarder->set_upstreams({other});
  ask(make_query("example.com", 1));
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].ending, Ending::kNoUpstream);
  forwarder->set_upstreams({other});  // a new set is judged anew
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(2));
  EXPECT_EQ(given[1].ending, Ending::kReply);
}

TEST_F(ForwarderTest, AnUnreachableUpstreamCountsAsRefused) {
  add_upstream();
  start();
  // Connecting to the broadcast address is not allowed.
  forwarder->set_upstreams({IpPort{*IpAddress::parse("255.255.255.255"), 53, 0}, upstreams[0].address()});
  const Instant begin = net::now();
  ask(make_query("example.com", 1));
  ASSERT_TRUE(until_given(1));
  EXPECT_EQ(given[0].ending, Ending::kReply);
  EXPECT_LT(given[0].at - begin, milliseconds(90));
}

}  // namespace
}  // namespace har::forward
