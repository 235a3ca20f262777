#include "net/socket_set.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <map>
#include <optional>
#include <vector>

#include "net/test_pair.h"

namespace har::net {
namespace {

class SocketSetTest : public testing::Test {
 protected:
  int add(const Pair& pair, SocketSet::Token token, Watch::Interest interest) {
    return set_.add(pair.ours.get(), token, interest);
  }
  void say(const Pair& pair) { EXPECT_EQ(send(pair.theirs.get(), "x", 1, 0), 1); }
  void turn() {  // one, whether anything is ready or not
    Timer end(loop_, [] {});
    end.set(Duration::zero());
    loop_.run_once();
  }

  Loop loop_;
  std::map<SocketSet::Token, Watch::Interest> came_;
  std::map<SocketSet::Token, int> times_;
  int patience_ = 1000;
  SocketSet set_{loop_,
                 [this](SocketSet::Token token, Watch::Interest ready) {
                   came_[token] = ready;
                   ++times_[token];
                   --patience_;
                 },
                 [this] { return patience_ > 0; }};
};

TEST_F(SocketSetTest, TellsWhatIsWantedForAsLongAsItHolds) {
  const Pair reads, writes, both;
  EXPECT_EQ(add(reads, 1, Watch::kRead), 0);
  EXPECT_EQ(add(writes, 2, Watch::kWrite), 0);
  EXPECT_EQ(add(both, 1ULL << 40U, Watch::kReadWrite), 0);
  say(both);
  for (int i = 0; i < 2; ++i) {
    came_.clear();
    turn();
    EXPECT_EQ(came_,
              (std::map<SocketSet::Token, Watch::Interest>{{2, Watch::kWrite}, {1ULL << 40U, Watch::kReadWrite}}));
  }
}

TEST_F(SocketSetTest, OfWhatIsNotWantedNothingIsToldNotEvenThatItIsBroken) {
  Pair pair;
  EXPECT_EQ(add(pair, 1, Watch::kRead), 0);
  EXPECT_EQ(set_.change(pair.ours.get(), 1, Watch::kRead, Watch::kNone), 0);
  pair.theirs.reset();
  turn();
  EXPECT_TRUE(came_.empty());
  EXPECT_EQ(set_.change(pair.ours.get(), 1, Watch::kNone, Watch::kWrite), 0);
  turn();
  EXPECT_EQ(came_.count(1), 1U);
}

TEST_F(SocketSetTest, AClosedSocketIsForgotten) {
  Pair closed;
  const Pair open;
  EXPECT_EQ(add(closed, 1, Watch::kWrite), 0);
  EXPECT_EQ(add(open, 2, Watch::kWrite), 0);
  closed.ours.reset();
  turn();
  EXPECT_EQ(came_, (std::map<SocketSet::Token, Watch::Interest>{{2, Watch::kWrite}}));
}

// Thousands of busy connections delayed everything else for as long as it took to serve all of them.
TEST_F(SocketSetTest, ATurnEndsWithTheOwnersPatienceAndAllHaveTheirTurn) {
  const std::vector<Pair> pairs(50);
  for (std::size_t i = 0; i < pairs.size(); ++i) EXPECT_EQ(add(pairs[i], i, Watch::kWrite), 0);
  for (int turns = 1; turns <= 100; ++turns) {
    patience_ = 1;
    const auto before = times_;
    turn();
    int served = 0;
    for (const auto& [token, times] : times_) served += times - (before.contains(token) ? before.at(token) : 0);
    ASSERT_EQ(served, SocketSet::kAtOnce);
  }
  ASSERT_EQ(times_.size(), pairs.size());
  for (const auto& [token, times] : times_) EXPECT_EQ(times, 100 * SocketSet::kAtOnce / 50) << token;
}

TEST_F(SocketSetTest, AnEndlessPatienceEndsTheTurnToo) {
  const std::vector<Pair> pairs(3 * SocketSet::kMostATurn);
  for (std::size_t i = 0; i < pairs.size(); ++i) EXPECT_EQ(add(pairs[i], i, Watch::kWrite), 0);
  turn();
  EXPECT_EQ(came_.size(), static_cast<std::size_t>(SocketSet::kMostATurn));
}

TEST_F(SocketSetTest, WhatIsNoSocketIsAnError) { EXPECT_EQ(set_.add(-1, 1, Watch::kRead), EBADF); }

}  // namespace
}  // namespace har::net
