// Stored state that comes late, and stored state that the last answers contradict.
#include <gtest/gtest.h>

#include "config/check_testing.h"
#include "health/content.h"
#include "health/directory.h"

namespace har::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One name by failover, with three candidates.
struct Process {
  static IpAddress ip(std::size_t index) { return *IpAddress::parse("192.0.2." + std::to_string(index)); }
  void configure(config::FailureMode mode = config::FailureMode::kAll) {
    auto config = std::make_shared<config::Config>();
    config::Name name;
    name.host = "api.example";
    name.selection_method = config::SelectionMethod::kFailover;
    name.failure_mode = mode;
    for (const char* host : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
      config::Candidate candidate;
      candidate.title = host;
      candidate.check = config::check_of_host(host);
      name.candidates.push_back(candidate);
    }
    config->names.push_back(name);
    directory.configure(config, now);
    for (const CheckId id : directory.take_changes().started) checks.push_back(id);
  }
  void probe(std::size_t index, Outcome outcome) {
    now += milliseconds(100);
    for (const CheckId id : checks) {
      if (directory.target(id).address != ip(index)) continue;
      Observation o;
      o.outcome = outcome;
      o.started = o.ended = now;
      o.total = o.connect = milliseconds(5);
      directory.observe(id, o, now);
    }
  }
  State state(std::size_t index) const { return directory.report().at(index - 1).state; }
  std::string answer() const { return describe(directory.content(0)); }

  Directory directory{"machine", 1};
  Instant now{std::chrono::hours(1)};
  std::vector<CheckId> checks;
};

class RestoreTest : public testing::Test, public Process {
 protected:
  static StoredEndpoint stored(std::size_t index, State state) {
    StoredEndpoint row;
    row.name = "api.example";
    row.address = ip(index);
    row.candidate = row.address.to_string();
    row.state = state;
    row.response_time = row.connect_time = milliseconds(3);
    row.age = seconds(60);
    row.since_success = seconds(61);
    row.successes = 100;
    return row;
  }
  // The slot of a predecessor that knew these states.
  static table::SlotContent answered(std::vector<State> states) {
    Process other;
    other.configure();
    for (std::size_t i = 0; i < states.size(); ++i) {
      other.probe(i + 1, states[i] == State::kUp ? Outcome::kOk : Outcome::kTimeout);
    }
    return other.directory.content(0);
  }
};

TEST_F(RestoreTest, WhatComesLateStandsBehindOurOwnEyesButTheOperatorsWordHolds) {
  configure();
  probe(1, Outcome::kOk);
  probe(2, Outcome::kOk);
  ASSERT_EQ(answer(), "192.0.2.1 | -");
  auto first = stored(1, State::kUp), second = stored(2, State::kDown), third = stored(3, State::kDown);
  first.drained = second.chosen = true;
  directory.restore({first, second, third}, now);
  EXPECT_EQ(answer(), "192.0.2.2 | -") << "the first is drained";
  EXPECT_EQ(state(2), State::kUp);
  EXPECT_EQ(state(3), State::kDown) << "of this one we know nothing of our own";
  const auto rows = directory.report();
  EXPECT_TRUE(rows.at(0).drained);
  EXPECT_EQ(rows.at(1).successes, 101U) << "counted before and since";
  EXPECT_EQ(rows.at(1).response_time, milliseconds(5));
  EXPECT_EQ(rows.at(1).last_success, now);
  EXPECT_EQ(rows.at(2).successes, 100U);
}

TEST_F(RestoreTest, AServerThatAPredecessorFoundDeadInItsLastSecondIsNotAnsweredAgain) {
  configure();
  directory.restore({stored(1, State::kUp), stored(2, State::kUp), stored(3, State::kUp)}, now);
  ASSERT_EQ(answer(), "192.0.2.1 | -");
  directory.doubt_stored(0, answered({State::kDown, State::kUp, State::kUp}), now);
  EXPECT_EQ(answer(), "192.0.2.2 | -");
  probe(2, Outcome::kOk);
  probe(1, Outcome::kTimeout);
  EXPECT_EQ(answer(), "192.0.2.2 | -");
  EXPECT_EQ(directory.report().at(0).successes, 100U) << "what was counted stays";
}

TEST_F(RestoreTest, OneThatLivesAfterAllIsBackWithItsFirstSuccess) {
  configure();
  directory.restore({stored(1, State::kUp), stored(2, State::kUp), stored(3, State::kUp)}, now);
  directory.doubt_stored(0, answered({State::kDown, State::kDown, State::kUp}), now);
  EXPECT_EQ(answer(), "192.0.2.3 | -") << "also where several were dead";
  probe(1, Outcome::kOk);
  EXPECT_EQ(answer(), "192.0.2.1 | -");
}

TEST_F(RestoreTest, AServerThatHadJustComeUpIsKeptUntilItFailsOnce) {
  configure();
  directory.restore({stored(1, State::kDown), stored(2, State::kUp), stored(3, State::kDown)}, now);
  ASSERT_EQ(answer(), "192.0.2.2 | -");
  directory.doubt_stored(0, answered({State::kUp, State::kUp, State::kDown}), now);
  EXPECT_EQ(answer(), "192.0.2.1 | -");
  EXPECT_EQ(state(2), State::kUp);
  EXPECT_EQ(state(3), State::kDown);
  probe(1, Outcome::kTimeout);
  EXPECT_EQ(answer(), "192.0.2.2 | -");
}

TEST_F(RestoreTest, WhereNothingWasUpNothingIsBelievedToBe) {
  configure(config::FailureMode::kNodata);
  directory.restore({stored(1, State::kUp), stored(2, State::kDown), stored(3, State::kUp)}, now);
  directory.doubt_stored(0, answered({State::kDown, State::kDown, State::kDown}), now);
  EXPECT_EQ(answer(), "nodata");
  probe(3, Outcome::kOk);
  EXPECT_EQ(answer(), "192.0.2.3 | -");
}

TEST_F(RestoreTest, StoredStateThatAgreesWithTheAnswersStays) {
  configure();
  directory.restore({stored(1, State::kDown), stored(2, State::kUp), stored(3, State::kUp)}, now);
  directory.doubt_stored(0, answered({State::kDown, State::kUp, State::kDown}), now);
  EXPECT_EQ(state(1), State::kDown);
  EXPECT_EQ(state(2), State::kUp);
  EXPECT_EQ(state(3), State::kUp) << "nobody can see from the answers whether it was";
}

}  // namespace
}  // namespace har::health
