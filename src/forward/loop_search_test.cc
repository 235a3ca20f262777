#include "forward/loop_search.h"

#include <gtest/gtest.h>

#include <vector>

namespace har::forward {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using upstream::only;
using upstream::Place;

const Instant kStart = Instant(seconds(1000));

struct LoopSearchTest : testing::Test {
  LoopSearch search;
  void use(std::initializer_list<Place> order) { search.set(std::span(order.begin(), order.size()), kStart); }
  std::vector<Place> due(Instant now) {
    std::vector<Place> out;
    while (const auto place = search.due(now)) out.push_back(*place);
    return out;
  }
};

TEST_F(LoopSearchTest, EachOfANewSetIsAskedAtOnceAndAtRestNotAgain) {
  use({3, 1});
  EXPECT_EQ(search.wake(), kStart);
  EXPECT_EQ(due(kStart), (std::vector<Place>{1, 3}));
  EXPECT_EQ(search.wake(), kNever);
  EXPECT_TRUE(due(kStart + seconds(1000)).empty());
}

TEST_F(LoopSearchTest, WhileItIsUnansweredTrafficSendsItAgainWithAPauseThatDoublesToAMinute) {
  use({1, 3});
  due(kStart);
  Instant last = kStart;
  for (const int pause : {1, 2, 4, 8, 16, 32, 60, 60}) {
    const Instant next = last + seconds(pause);
    search.forwarded_to(only(3), next - milliseconds(1));
    EXPECT_EQ(search.wake(), kNever) << pause << ": what comes earlier leaves nothing to be done later";
    search.forwarded_to(only(3), next);
    EXPECT_LE(search.wake(), next);
    EXPECT_EQ(due(next), std::vector<Place>{3}) << "the other one had no traffic";
    EXPECT_TRUE(due(next).empty());
    last = next;
  }
}

TEST_F(LoopSearchTest, AnyReplyEndsTheSearch) {
  use({1, 3});
  due(kStart);
  search.answered(3, kStart);
  search.forwarded_to(only(1) | only(3), kStart + seconds(10));
  EXPECT_EQ(due(kStart + seconds(10)), std::vector<Place>{1});
}

TEST_F(LoopSearchTest, OneThatCameBackIsNotAskedAnyMore) {
  use({1, 3});
  search.end(3);
  EXPECT_EQ(due(kStart), std::vector<Place>{1});
  search.forwarded_to(only(3), kStart + seconds(10));
  EXPECT_TRUE(due(kStart + seconds(10)).empty());
}

TEST_F(LoopSearchTest, ASearchThatBeginsAnewAsksAtOnceAndAReplyToTheOneBeforeDoesNotEndIt) {
  use({3});
  due(kStart);
  search.answered(3, kStart);
  const Instant again = kStart + seconds(5);
  search.begin(3, again);
  EXPECT_EQ(search.wake(), again);
  EXPECT_EQ(due(again), std::vector<Place>{3});
  search.answered(3, kStart);
  search.forwarded_to(only(3), again + seconds(1));
  EXPECT_EQ(due(again + seconds(1)), std::vector<Place>{3});
  search.answered(3, again);
  search.forwarded_to(only(3), again + seconds(10));
  EXPECT_TRUE(due(again + seconds(10)).empty());
}

TEST_F(LoopSearchTest, OneThatComesAliveAgainAndAgainIsAskedOnceASecondAtMost) {
  use({3});
  due(kStart);
  search.begin(3, kStart + milliseconds(300));
  EXPECT_EQ(search.wake(), kStart + seconds(1));
  EXPECT_TRUE(due(kStart + milliseconds(999)).empty());
  search.begin(3, kStart + milliseconds(999));
  EXPECT_EQ(due(kStart + seconds(1)), std::vector<Place>{3});
}

TEST_F(LoopSearchTest, ANewSetForgetsThePauses) {
  use({3});
  for (const int at : {0, 1, 3, 7}) {
    search.forwarded_to(only(3), kStart + seconds(at));
    EXPECT_EQ(due(kStart + seconds(at)).size(), 1U);
  }
  search.set(std::vector<Place>{3}, kStart + seconds(8));
  EXPECT_EQ(due(kStart + seconds(8)), std::vector<Place>{3});
  search.set({}, kStart + seconds(8));
  search.forwarded_to(only(3), kStart + seconds(90));
  EXPECT_EQ(search.wake(), kNever);
}

}  // namespace
}  // namespace har::forward
