#include "forward/waiting.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <vector>

namespace har::forward {
namespace {

using Bytes = std::vector<std::uint8_t>;

net::Asker asker(std::uint32_t serial) {
  net::Asker out;
  out.serial = serial;
  return out;
}

TEST(Waiting, WhatWasPutFirstComesFirstAsItWas) {
  Waiting waiting;
  EXPECT_TRUE(waiting.empty());
  for (std::uint8_t i = 0; i < 3; ++i) EXPECT_TRUE(waiting.put(Bytes(i + 1U, i), asker(i), i * 10U));
  for (std::uint8_t i = 0; i < 3; ++i) {
    waiting.take_first([i](std::span<const std::uint8_t> query, const net::Asker& from, std::uint32_t tag) {
      EXPECT_EQ(Bytes(query.begin(), query.end()), Bytes(i + 1U, i));
      EXPECT_EQ(from.serial, i);
      EXPECT_EQ(tag, i * 10U);
    });
  }
  EXPECT_TRUE(waiting.empty());
}

TEST(Waiting, ALargeQueryDoesNotWait) {
  Waiting waiting;
  EXPECT_TRUE(waiting.put(Bytes(Waiting::kMostOctets), asker(0), 0));
  EXPECT_FALSE(waiting.put(Bytes(Waiting::kMostOctets + 1), asker(0), 0));
}

TEST(Waiting, ThousandsHaveRoomAndNoMoreThanItsOwn) {
  Waiting waiting;
  std::size_t count = 0;
  while (waiting.put(Bytes(60), asker(0), 0)) ++count;
  EXPECT_GT(count, 8'000U);
  EXPECT_LE(waiting.used(), Waiting::kRoom);
  waiting.take_first([](auto, const auto&, auto) {});
  EXPECT_TRUE(waiting.put(Bytes(60), asker(0), 0));
  EXPECT_FALSE(waiting.put(Bytes(60), asker(0), 0));
}

// Round and round, with queries of all sizes, beside a plain queue.
TEST(Waiting, IsAQueueHoweverItIsUsed) {
  Waiting waiting;
  std::deque<std::pair<std::uint32_t, Bytes>> model;
  std::mt19937 random(7);
  std::uint32_t serial = 0;
  std::size_t refused = 0;
  for (int i = 0; i < 200'000; ++i) {
    const bool fills = i % 40'000 < 25'000;  // mostly full, then emptied
    if (random() % 3 < (fills ? 2U : 1U)) {
      const Bytes query(random() % 513, static_cast<std::uint8_t>(serial));
      if (waiting.put(query, asker(serial), serial)) {
        model.emplace_back(serial, query);
      } else {
        ++refused;
        ASSERT_GT(waiting.used(), Waiting::kRoom - 2 * (Waiting::kMostOctets + 64));
      }
      ++serial;
    } else if (!model.empty()) {
      waiting.take_first([&](std::span<const std::uint8_t> query, const net::Asker& from, std::uint32_t tag) {
        ASSERT_EQ(from.serial, model.front().first);
        ASSERT_EQ(tag, model.front().first);
        ASSERT_TRUE(std::equal(query.begin(), query.end(), model.front().second.begin(), model.front().second.end()));
      });
      model.pop_front();
    }
    ASSERT_EQ(waiting.empty(), model.empty());
  }
  EXPECT_GT(refused, 100U);
}

}  // namespace
}  // namespace har::forward
