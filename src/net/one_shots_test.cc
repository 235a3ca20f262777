#include "net/one_shots.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <vector>

#include "net/test_pair.h"

namespace har::net {
namespace {

TEST(OneShots, EachTokenComesOnceAndItsSocketMayBeWatchedAgain) {
  Loop loop;
  std::vector<OneShots::Token> came;
  OneShots waiting(loop, [&](OneShots::Token token) { came.push_back(token); });
  const Pair one, two;
  EXPECT_EQ(waiting.wait_for_write(one.ours.get(), 1), 0);
  EXPECT_EQ(waiting.wait_for_write(two.ours.get(), 1ULL << 40U), 0);
  EXPECT_TRUE(came.empty());
  loop.run_once();
  EXPECT_EQ(came, (std::vector<OneShots::Token>{1, 1ULL << 40U}));

  int writable = 0;
  Watch watch(loop, one.ours.get(), Watch::kWrite, [&](Watch::Interest) { ++writable; });
  loop.run_once();
  EXPECT_EQ(writable, 1);
  EXPECT_EQ(came.size(), 2U) << "still writable, and yet it comes once";
}

TEST(OneShots, WhatBreaksWhileItWaitsIsReadyToo) {
  Loop loop;
  std::vector<OneShots::Token> came;
  OneShots waiting(loop, [&](OneShots::Token token) { came.push_back(token); });
  Pair pair;
  pair.fill();
  EXPECT_EQ(waiting.wait_for_write(pair.ours.get(), 7), 0);
  pair.theirs.reset();
  loop.run_once();
  EXPECT_EQ(came, std::vector<OneShots::Token>{7});
}

TEST(OneShots, AClosedSocketIsForgotten) {
  Loop loop;
  std::vector<OneShots::Token> came;
  OneShots waiting(loop, [&](OneShots::Token token) { came.push_back(token); });
  Pair closed;
  const Pair open;
  EXPECT_EQ(waiting.wait_for_write(closed.ours.get(), 1), 0);
  EXPECT_EQ(waiting.wait_for_write(open.ours.get(), 2), 0);
  closed.ours.reset();
  loop.run_once();
  EXPECT_EQ(came, std::vector<OneShots::Token>{2});
}

TEST(OneShots, MoreThanOneTurnTakesAllCome) {
  Loop loop;
  std::vector<OneShots::Token> came;
  OneShots waiting(loop, [&](OneShots::Token token) { came.push_back(token); });
  const std::vector<Pair> pairs(200);
  for (std::size_t i = 0; i < pairs.size(); ++i) EXPECT_EQ(waiting.wait_for_write(pairs[i].ours.get(), i), 0);
  for (int turn = 0; turn < 10 && came.size() < pairs.size(); ++turn) loop.run_once();
  EXPECT_EQ(came.size(), pairs.size());
}

TEST(OneShots, ASocketMayBeWaitedForAgainToBeRead) {
  Loop loop;
  std::vector<OneShots::Token> came;
  OneShots waiting(loop, [&](OneShots::Token token) { came.push_back(token); });
  const Pair pair;
  EXPECT_EQ(waiting.wait_for_write(pair.ours.get(), 1), 0);
  loop.run_once();
  EXPECT_EQ(waiting.wait_again(pair.ours.get(), 2, Watch::kRead), 0);
  EXPECT_EQ(send(pair.theirs.get(), "x", 1, 0), 1);
  loop.run_once();
  EXPECT_EQ(came, (std::vector<OneShots::Token>{1, 2}));
}

TEST(OneShots, WhatIsNoSocketIsAnError) {
  Loop loop;
  OneShots waiting(loop, [](OneShots::Token) {});
  EXPECT_EQ(waiting.wait_for_write(-1, 1), EBADF);
}

}  // namespace
}  // namespace har::net
