#include "store/batch.h"

#include <gtest/gtest.h>

#include "store/testing.h"

namespace har::store {
namespace {

std::vector<EventRow> events(std::size_t n) { return std::vector<EventRow>(n, event("a", "r")); }
std::vector<Sample> samples(std::size_t n) { return std::vector<Sample>(n, sample("a", WallTime{})); }

TEST(Batch, DropsSamplesBeforeEvents) {
  Batch batch;
  batch.add_events(events(60));
  batch.add_samples(samples(60));
  batch.drop_beyond(100);
  EXPECT_EQ(batch.events.size(), 60U);
  EXPECT_LE(batch.samples.size(), 40U);
  EXPECT_EQ(batch.dropped_samples, 60U - batch.samples.size());
  EXPECT_EQ(batch.dropped_events, 0U);
}

TEST(Batch, DropsTheOldestEventsWhenThereAreNoSamplesLeft) {
  Batch batch;
  batch.add_events(events(100));
  batch.add_samples(samples(5));
  batch.add_events({event("a", "newest")});
  batch.drop_beyond(100);
  EXPECT_TRUE(batch.samples.empty());
  EXPECT_LE(batch.events.size(), 100U);
  EXPECT_EQ(batch.events.back().event.reason, "newest");
  EXPECT_EQ(batch.dropped_events, 101U - batch.events.size());
}

TEST(Batch, StaysBoundedHoweverMuchComes) {
  Batch batch;
  for (int i = 0; i < 300; ++i) {
    batch.add_samples(samples(500));
    batch.add_events(events(100));
    ASSERT_LE(batch.events.size() + batch.samples.size(), Batch::kMaxRows);
  }
  EXPECT_EQ(batch.samples.size() + batch.dropped_samples, 150'000U);
  EXPECT_EQ(batch.events.size() + batch.dropped_events, 30'000U);
}

StateRows state(std::vector<NameRow> names, std::vector<EndpointRow> endpoints = {}) {
  return StateRows::of(std::move(names), std::move(endpoints), Moment{});
}

TEST(Batch, OfEachNameTheNewestStateWins) {
  Batch batch;
  batch.add_state(state({{"a", 1}, {"b", 1}}, {endpoint("a", "x", "192.0.2.1"), endpoint("b", "x", "192.0.2.1")}));
  batch.add_state(state({{"a", 2}}, {endpoint("a", "x", "192.0.2.2"), endpoint("a", "x", "192.0.2.3")}));
  ASSERT_EQ(batch.state->names.size(), 2U);
  EXPECT_EQ(batch.state->names["a"].queries, 2U);
  EXPECT_EQ(batch.state->names["a"].endpoints.size(), 2U);
  EXPECT_EQ(batch.state->names["b"].queries, 1U);
  EXPECT_EQ(batch.state->names["b"].endpoints.size(), 1U);
}

TEST(Batch, WhatIsPutBackIsTheOlder) {
  Batch older, newer;
  older.add_state(state({{"a", 1}, {"b", 1}}));
  older.add_events({event("a", "first")});
  newer.add_state(state({{"a", 2}}));
  newer.add_events({event("a", "second")});
  newer.put_back(std::move(older));
  EXPECT_EQ(newer.state->names["a"].queries, 2U);
  EXPECT_EQ(newer.state->names["b"].queries, 1U);
  ASSERT_EQ(newer.events.size(), 2U);
  EXPECT_EQ(newer.events[0].event.reason, "first");
  EXPECT_EQ(newer.events[1].event.reason, "second");
}

TEST(Batch, AnOlderStateDoesNotBringBackForgottenNames) {
  Batch batch;
  batch.add_state(state({{"a", 1}, {"b", 1}}));
  batch.forget_others({"b"});
  EXPECT_FALSE(batch.state->names.contains("a"));
  EXPECT_TRUE(batch.state->names.contains("b"));

  Batch older, newer;
  older.add_state(state({{"a", 1}}));
  newer.forget_others({"b"});
  newer.put_back(std::move(older));
  EXPECT_TRUE(newer.state->names.empty());
  EXPECT_EQ(newer.keep_names, std::vector<std::string>{"b"});
}

}  // namespace
}  // namespace har::store
