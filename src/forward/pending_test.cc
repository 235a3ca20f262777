#include "forward/pending.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

namespace har::forward {
namespace {

using State = Record::State;

TEST(Pending, TheOldestOfEachStateIsKnown) {
  Pending pending;
  EXPECT_EQ(pending.oldest(State::kActive), kNone);
  const auto a = pending.take(State::kActive);
  const auto b = pending.take(State::kActive);
  const auto c = pending.take(State::kActive);
  EXPECT_EQ(pending.oldest(State::kActive), a);
  pending.move(a, State::kLingering);
  EXPECT_EQ(pending.oldest(State::kActive), b);
  EXPECT_EQ(pending.oldest(State::kLingering), a);
  pending.release(c);
  pending.release(b);
  EXPECT_EQ(pending.oldest(State::kActive), kNone);
  EXPECT_EQ(pending.count(State::kActive), 0U);
  EXPECT_EQ(pending.count(State::kLingering), 1U);
}

TEST(Pending, ATryIsFoundByItsChannelAndIdOnly) {
  Pending pending;
  const auto one = pending.open_channel(0, false);
  const auto two = pending.open_channel(1, false);
  const auto record = pending.take(State::kActive);
  pending.link(one, Pending::ref(record, 0), 7);
  pending.link(two, Pending::ref(record, 1), 8);
  EXPECT_EQ(pending.find(one, 7), Pending::ref(record, 0));
  EXPECT_EQ(pending.find(two, 8), Pending::ref(record, 1));
  EXPECT_EQ(pending.find(one, 8), kNone);
  EXPECT_EQ(pending.find(two, 7), kNone);
  pending.unlink(Pending::ref(record, 0));
  EXPECT_EQ(pending.find(one, 7), kNone);
  EXPECT_EQ(pending.channel(one).outstanding, 0U);
  EXPECT_EQ(pending.at(record).linked, 1U);
}

TEST(Pending, AChannelKnowsItsTriesOldestFirst) {
  Pending pending;
  const auto channel = pending.open_channel(0, true);
  std::vector<std::uint32_t> refs;
  for (std::uint16_t i = 0; i < 5; ++i) {
    refs.push_back(Pending::ref(pending.take(State::kActive), 0));
    pending.link(channel, refs.back(), i);
  }
  pending.unlink(refs[2]);
  refs.erase(refs.begin() + 2);
  EXPECT_FALSE(pending.is_overtaking(refs[0]));
  EXPECT_TRUE(pending.is_overtaking(refs[1]));
  std::vector<std::uint32_t> found;
  pending.collect(channel, found);
  EXPECT_EQ(found, refs);
}

// Each refusal in a flood walked over a thousand tries that knew of the one before: a fifth of a core.
TEST(Pending, WhatAChannelHasToldAsNewItDoesNotTellAgain) {
  Pending pending;
  const auto channel = pending.open_channel(0, false);
  const auto link = [&](std::uint16_t id) {
    const std::uint32_t ref = Pending::ref(pending.take(State::kActive), 0);
    pending.link(channel, ref, id);
    return ref;
  };
  const auto news = [&] {
    std::vector<std::uint32_t> found;
    pending.collect_new(channel, found);
    return found;
  };
  using Refs = std::vector<std::uint32_t>;
  EXPECT_EQ(news(), Refs());
  const std::uint32_t a = link(1), b = link(2), c = link(3);
  EXPECT_EQ(news(), (Refs{a, b, c}));
  EXPECT_EQ(news(), Refs());
  const std::uint32_t d = link(4);
  pending.unlink(c);  // the newest of those that are known
  EXPECT_EQ(news(), Refs{d});
  pending.unlink(a);
  pending.unlink(d);
  pending.unlink(b);
  EXPECT_EQ(news(), Refs());
  pending.link(channel, b, 5);  // the same reference once more is new
  EXPECT_EQ(news(), Refs{b});
  pending.unlink(b);
  const std::uint32_t e = link(6);
  EXPECT_EQ(news(), Refs{e});
}

TEST(Pending, AClosedChannelsNumberIsUsedAgain) {
  Pending pending;
  const auto one = pending.open_channel(5, false);
  pending.close_channel(one);
  EXPECT_EQ(pending.open_channel(6, true), one);
  EXPECT_EQ(pending.channel(one).owner, 6U);
}

TEST(Pending, WakesComeInTheOrderOfTimeHoweverTheyWereSetAndChanged) {
  Pending pending;
  std::minstd_rand random(1);
  std::map<std::uint32_t, Instant> wakes;
  std::vector<std::uint32_t> records;
  for (int i = 0; i < 1000; ++i) records.push_back(pending.take(State::kActive));
  for (int i = 0; i < 5000; ++i) {
    const std::uint32_t record = records[random() % records.size()];
    const Instant wake = random() % 4 == 0 ? kNever : Instant(std::chrono::milliseconds(random() % 500));
    pending.set_wake(record, wake);
    wakes[record] = wake;
    const auto least =
        std::min_element(wakes.begin(), wakes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    const std::uint32_t top = pending.next_to_wake();
    if (least->second == kNever) {
      ASSERT_EQ(top, kNone);
    } else {
      ASSERT_EQ(pending.at(top).wake, least->second);
    }
  }
}

TEST(Pending, LinksSurviveAThousandRandomSteps) {
  Pending pending;
  std::minstd_rand random(2);
  std::vector<std::uint32_t> channels;
  for (std::uint32_t i = 0; i < 10; ++i) channels.push_back(pending.open_channel(i, false));
  std::map<std::pair<std::uint32_t, std::uint16_t>, std::uint32_t> model;
  for (int i = 0; i < 20'000; ++i) {
    if (model.empty() || random() % 2 == 0) {
      const std::uint32_t channel = channels[random() % 10];
      const auto id = static_cast<std::uint16_t>(random() % 300);
      if (model.contains({channel, id})) continue;
      const auto ref = Pending::ref(pending.take(State::kActive), static_cast<std::uint8_t>(random() % 32));
      pending.link(channel, ref, id);
      model[{channel, id}] = ref;
    } else {
      auto it = model.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(random() % std::min<std::size_t>(model.size(), 50)));
      ASSERT_EQ(pending.find(it->first.first, it->first.second), it->second);
      pending.unlink(it->second);
      pending.release(Pending::record_of(it->second));
      model.erase(it);
    }
    ASSERT_EQ(pending.count(State::kActive), model.size());
  }
}

TEST(Pending, ALongQueryIsKeptWhole) {
  Pending pending;
  const std::uint32_t number = pending.take(State::kActive);
  Record& record = pending.at(number);
  const std::vector<std::uint8_t> query(3000, 7);
  ASSERT_TRUE(pending.keep_query(number, query));
  EXPECT_TRUE(std::equal(record.query().begin(), record.query().end(), query.begin(), query.end()));
}

TEST(Pending, AReleasedRecordGivesTheRoomOfLongOctetsBack) {
  Pending pending;
  const std::vector<std::uint8_t> octets(60'000, 7);
  for (int time = 0; time < 2; ++time) {
    const std::uint32_t number = pending.take(Record::State::kActive);
    ASSERT_TRUE(time == 0 ? pending.keep_query(number, octets) : pending.keep_bad_reply(number, octets));
    pending.release(number);
    EXPECT_EQ(pending.at(number).big_query.capacity() + pending.at(number).bad_reply.capacity(), 0U);
  }
}

}  // namespace
}  // namespace har::forward
