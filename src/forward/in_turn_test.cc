#include "forward/in_turn.h"

#include <optional>

#include "forward/forwarding_test.h"

namespace har::forward {
namespace {

struct InTurnTest : ForwardingTest {
  std::optional<InTurn> in_turn;

  FakeUpstream& begin() {
    FakeUpstream& upstream = add_upstream();
    start();
    in_turn.emplace(loop, *forwarder);
    return upstream;
  }
  bool put(std::uint16_t id) { return in_turn->ask(make_query("example.com", id), asker(false), id); }
};

TEST_F(InTurnTest, AFewGoAtOnceAndTheOthersInTheirOrder) {
  FakeUpstream& upstream = begin();
  for (std::uint16_t i = 0; i < 500; ++i) EXPECT_TRUE(put(i));
  EXPECT_EQ(forwarder->in_flight(), static_cast<std::size_t>(InTurn::kATurn));
  EXPECT_FALSE(in_turn->empty());
  ASSERT_TRUE(until_given(500));
  EXPECT_TRUE(in_turn->empty());
  EXPECT_EQ(upstream.heard.size(), 500U);
  for (std::uint16_t i = 0; i < 500; ++i) EXPECT_EQ(given[i].tag, i);
}

// Those that went at once count: else a turn would forward twice as many, as many as are read in one, and nothing would
// ever overtake.
TEST_F(InTurnTest, OneTurnForwardsNoMoreThanItsFew) {
  FakeUpstream& upstream = begin();
  upstream.on_query = [](const Heard&) {};
  std::size_t asked = 0;
  for (int turn = 1; turn <= 5; ++turn) {
    for (std::uint16_t i = 0; i < 2 * InTurn::kATurn; ++i) EXPECT_TRUE(put(i));
    net::Timer wake(loop, [] {});
    wake.set(Duration::zero());
    loop.run_once();
    EXPECT_LE(forwarder->in_flight() - asked, static_cast<std::size_t>(InTurn::kATurn)) << turn;
    asked = forwarder->in_flight();
  }
  EXPECT_FALSE(in_turn->empty());
}

TEST_F(InTurnTest, WhatIsTooLargeToWaitGoesAtOnce) {
  FakeUpstream& upstream = begin();
  for (std::uint16_t i = 0; i < InTurn::kATurn + 1; ++i) EXPECT_TRUE(put(i));
  Bytes large = make_query("example.com", 999);
  large.resize(513);
  EXPECT_TRUE(in_turn->ask(large, asker(false), 999));
  ASSERT_TRUE(until_given(InTurn::kATurn + 2));
  EXPECT_EQ(upstream.heard.size(), InTurn::kATurn + 2U);
}

TEST_F(InTurnTest, EachTurnHasItsOwnFew) {
  begin();
  for (int turn = 0; turn < 3; ++turn) {
    for (std::uint16_t i = 0; i < InTurn::kATurn; ++i) EXPECT_TRUE(put(i));
    EXPECT_TRUE(in_turn->empty()) << turn;
    loop.run_once();
  }
}

TEST_F(InTurnTest, WhatThereIsNoRoomForIsRefusedAndTheRestEnds) {
  begin();
  options.max_in_flight = 100;
  forwarder->set_options(options);
  std::size_t taken = 0;
  while (taken < 50'000 && put(static_cast<std::uint16_t>(taken))) ++taken;
  EXPECT_GT(taken, 5'000U);
  EXPECT_LT(taken, 50'000U);
  EXPECT_TRUE(given.empty());
  std::size_t ended = 0;
  in_turn->end_all([&](const net::Asker&, std::span<const std::uint8_t> query) {
    EXPECT_EQ(query.size(), make_query("example.com", 1).size());
    ++ended;
  });
  EXPECT_EQ(ended + InTurn::kATurn, taken);
  EXPECT_TRUE(in_turn->empty());
}

}  // namespace
}  // namespace har::forward
