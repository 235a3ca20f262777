// What waits to be written: events, samples and the newest state, bounded in number. A value, without a lock (desk.h
// has it). Tested by: batch_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/store.h"

namespace har::store {

// The newest state of the names that something happened to: of each the whole, so that a newer one replaces it.
struct StateRows {
  struct Name {
    std::optional<std::uint64_t> queries;
    std::vector<EndpointRow> endpoints;  // all there are
  };
  std::unordered_map<std::string, Name> names;
  Moment at;  // turns the rows' Instants into what is written

  static StateRows of(std::vector<NameRow> names, std::vector<EndpointRow> endpoints, const Moment& at);
};

struct Batch {
  // Events and samples together; some 20 MB at most.
  static constexpr std::size_t kMaxRows = 50'000;

  std::optional<std::vector<std::string>> keep_names;  // from forget_others; taken before `state`
  std::optional<StateRows> state;
  std::vector<EventRow> events;
  std::vector<Sample> samples;
  std::uint64_t dropped_events = 0, dropped_samples = 0;

  bool is_empty() const { return !keep_names && !state && events.empty() && samples.empty(); }

  void add_events(std::vector<EventRow> more);
  void add_samples(std::vector<Sample> more);
  void add_state(StateRows rows);
  void forget_others(std::vector<std::string> names);

  // Puts `older`, which could not be written, in front of what has come since.
  void put_back(Batch older);

  // The oldest samples are dropped first; the oldest events when there are no samples left.
  void drop_beyond(std::size_t max_rows);
};

}  // namespace har::store
