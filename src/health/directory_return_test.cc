// How an endpoint that was down comes back to its place: its RTT is what was measured since.
#include <gtest/gtest.h>

#include "config/check_testing.h"
#include "health/content.h"
#include "health/directory.h"

namespace har::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ReturnTest : public testing::Test {
 protected:
  ReturnTest() {
    auto config = std::make_shared<config::Config>();
    config::Name name;
    name.host = "api.example";
    for (const char* host : {"192.0.2.1", "192.0.2.2"}) {
      config::Candidate candidate;
      candidate.title = host;
      candidate.check = config::check_of_host(host);
      name.candidates.push_back(candidate);
    }
    config->names.push_back(name);
    directory.configure(config, now);
    for (const CheckId id : directory.take_changes().started) {
      (directory.target(id).address == IpAddress::parse("192.0.2.1") ? fast : slow) = id;
    }
    for (int i = 0; i < 10; ++i) {
      now += seconds(2);
      probe(fast, Outcome::kOk, milliseconds(1));
      probe(slow, Outcome::kOk, milliseconds(5));
    }
    EXPECT_EQ(answer(), "192.0.2.1 | -");
  }

  // A probe that ends now.
  void probe(CheckId id, Outcome outcome, Duration total) {
    Observation o;
    o.outcome = outcome;
    o.started = now - total;
    o.ended = now;
    o.total = o.connect = total;
    directory.observe(id, o, now);
  }
  std::string answer() const { return describe(directory.content(0)); }

  Directory directory{"machine", 1};
  Instant now{std::chrono::hours(1)};
  CheckId fast = 0, slow = 0;
};

TEST_F(ReturnTest, WhatAStoppedProcessAnsweredWhenItWentOnDoesNotKeepItFromItsPlace) {
  for (int i = 0; i < 3; ++i) {
    now += milliseconds(500);
    probe(fast, Outcome::kTimeout, seconds(1));
  }
  EXPECT_EQ(answer(), "192.0.2.2 | -");
  now += seconds(10);
  // It goes on: two probes that waited in its queue bring it up, a third ends after that.
  probe(fast, Outcome::kOk, milliseconds(900));
  probe(fast, Outcome::kOk, milliseconds(400));
  probe(fast, Outcome::kOk, milliseconds(300));
  for (int i = 0; i < 2; ++i) {
    now += seconds(2);
    probe(slow, Outcome::kOk, milliseconds(5));
    probe(fast, Outcome::kOk, milliseconds(1));
  }
  EXPECT_EQ(answer(), "192.0.2.1 | -");
}

TEST_F(ReturnTest, OneThatReturnsSlowerThanItWasDoesNotTakeItsOldPlace) {
  for (int i = 0; i < 3; ++i) {
    now += milliseconds(500);
    probe(fast, Outcome::kConnectError, {});
  }
  for (int i = 0; i < 4; ++i) {
    now += seconds(2);
    probe(slow, Outcome::kOk, milliseconds(5));
    probe(fast, Outcome::kOk, milliseconds(50));
  }
  EXPECT_EQ(answer(), "192.0.2.2 | -");
}

}  // namespace
}  // namespace har::health
