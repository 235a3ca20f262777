#include "health/hysteresis.h"

#include <gtest/gtest.h>

namespace har::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Feeds one Hysteresis with outcomes a second apart; every probe starts after the last change.
class Feed {
 public:
  explicit Feed(config::Thresholds thresholds = {}) : h(thresholds) {}
  bool ok(bool plain_rise = false) { return step(true, plain_rise); }
  bool fail() { return step(false, false); }
  // How many successes in a row it takes until it is up; 0: more than a thousand.
  int successes_until_up() {
    for (int i = 1; i <= 1000; ++i) {
      ok();
      if (h.state() == State::kUp) return i;
    }
    return 0;
  }
  void knock_down() {
    while (h.state() != State::kDown) fail();
  }

  Hysteresis h;
  Instant now{seconds(100)};
  Duration pace = seconds(1);

 private:
  bool step(bool good, bool plain_rise) {
    now += pace;
    return h.observe(good, now, now, plain_rise);
  }
};

TEST(Hysteresis, TheFirstObservationDecidesAtOnce) {
  Feed good;
  EXPECT_EQ(good.h.state(), State::kUnknown);
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(good.h.state(), State::kUp);
  EXPECT_EQ(good.h.cause().kind, Hysteresis::Cause::Kind::kFirst);
  Feed bad;
  EXPECT_TRUE(bad.fail());
  EXPECT_EQ(bad.h.state(), State::kDown);
}

TEST(Hysteresis, TheFallthFailureTakesItDown) {
  Feed f({.fall = 3, .rise = 2, .ok_reset = 10});
  f.ok();
  EXPECT_FALSE(f.fail());
  EXPECT_FALSE(f.fail());
  EXPECT_EQ(f.h.state(), State::kUp);
  EXPECT_TRUE(f.fail());
  EXPECT_EQ(f.h.state(), State::kDown);
  EXPECT_EQ(f.h.cause().kind, Hysteresis::Cause::Kind::kStreak);
  EXPECT_EQ(f.h.cause().count, 3U);
}

TEST(Hysteresis, RiseSuccessesInARowBringItUp) {
  Feed f;
  f.fail();
  EXPECT_FALSE(f.ok());
  EXPECT_FALSE(f.fail());
  EXPECT_FALSE(f.ok());
  EXPECT_TRUE(f.ok());
  EXPECT_EQ(f.h.state(), State::kUp);
}

TEST(Hysteresis, AHalfBrokenEndpointGoesDown) {
  Feed f;
  f.ok();
  f.fail();
  f.ok();
  f.fail();
  f.ok();
  EXPECT_EQ(f.h.state(), State::kUp);
  EXPECT_TRUE(f.fail());
  EXPECT_EQ(f.h.cause().kind, Hysteresis::Cause::Kind::kFailures);
  EXPECT_EQ(f.h.cause().count, 3U);
}

TEST(Hysteresis, AFailureIsForgottenAfterOkResetSuccessesInARow) {
  Feed f({.fall = 2, .rise = 2, .ok_reset = 10});
  f.ok();
  f.fail();
  for (int i = 0; i < 10; ++i) f.ok();
  EXPECT_FALSE(f.fail());
  EXPECT_EQ(f.h.state(), State::kUp);
  for (int i = 0; i < 9; ++i) f.ok();  // one short
  EXPECT_TRUE(f.fail());
}

TEST(Hysteresis, AProbeThatStartedBeforeTheLastChangeDoesNotCount) {
  Feed f;
  f.ok();
  const Instant early = f.now;
  f.knock_down();
  EXPECT_FALSE(f.h.observe(true, early, f.now + seconds(1), false));
  EXPECT_FALSE(f.h.observe(true, early, f.now + seconds(1), false));
  EXPECT_FALSE(f.h.observe(true, early, f.now + seconds(1), false));
  EXPECT_EQ(f.h.state(), State::kDown);
  // Nor does a failure among them break a row of successes.
  f.ok();
  f.h.observe(false, early, f.now, false);
  EXPECT_TRUE(f.ok());
}

TEST(Hysteresis, EveryFurtherFallWithinTenMinutesDoublesRise) {
  Feed f({.fall = 1, .rise = 2, .ok_reset = 10});
  f.pace = milliseconds(500);
  f.ok();
  int expected = 2;
  for (int fall = 1; fall <= 9; ++fall) {
    f.knock_down();
    EXPECT_EQ(f.successes_until_up(), expected) << "fall " << fall;
    expected = std::min(expected * 2, 64);  // 32 times 2
  }
}

TEST(Hysteresis, TheDoublingEndsTenMinutesAfterTheLastFall) {
  Feed f({.fall = 1, .rise = 2, .ok_reset = 10});
  f.ok();
  f.knock_down();
  f.successes_until_up();
  f.knock_down();
  EXPECT_EQ(f.h.rise_needed(f.now + minutes(10)), 4U);
  EXPECT_EQ(f.h.rise_needed(f.now + minutes(10) + seconds(1)), 2U);
}

TEST(Hysteresis, AFallAfterMoreThanTenMinutesIsAFirstOneAgain) {
  Feed f({.fall = 1, .rise = 2, .ok_reset = 10});
  f.ok();
  f.knock_down();
  f.successes_until_up();
  f.now += minutes(11);
  f.knock_down();
  EXPECT_EQ(f.successes_until_up(), 2);
}

TEST(Hysteresis, ThePlainRiseAppliesWhileNothingElseIsUp) {
  Feed f({.fall = 1, .rise = 2, .ok_reset = 10});
  f.ok();
  for (int i = 0; i < 4; ++i) {
    f.knock_down();
    f.successes_until_up();
  }
  f.knock_down();
  EXPECT_EQ(f.h.rise_needed(f.now), 32U);
  EXPECT_FALSE(f.ok(true));
  EXPECT_TRUE(f.ok(true));
  EXPECT_EQ(f.h.cause().kind, Hysteresis::Cause::Kind::kNothingElseUp);
}

TEST(Hysteresis, SettlingUsesTheSuccessesCountedSoFar) {
  Feed f({.fall = 1, .rise = 2, .ok_reset = 10});
  f.ok();
  f.knock_down();
  f.successes_until_up();
  f.knock_down();
  EXPECT_FALSE(f.h.settle(f.now));
  f.ok();
  EXPECT_FALSE(f.h.settle(f.now));
  f.ok();
  f.ok();
  EXPECT_EQ(f.h.state(), State::kDown);
  EXPECT_TRUE(f.h.settle(f.now));
  EXPECT_EQ(f.h.state(), State::kUp);
  EXPECT_FALSE(f.h.settle(f.now));
}

TEST(Hysteresis, ARestoredStateCountsAsObserved) {
  Feed f;
  f.h.restore(State::kUp, f.now);
  EXPECT_FALSE(f.fail());
  EXPECT_FALSE(f.fail());
  EXPECT_TRUE(f.fail());
  Feed down;
  down.h.restore(State::kDown, down.now);
  EXPECT_FALSE(down.ok());
  EXPECT_TRUE(down.ok());
}

TEST(Hysteresis, ACarriedStateIsShownButTheNextObservationDecides) {
  Feed f;
  f.h.carry(State::kDown, f.now);
  EXPECT_EQ(f.h.state(), State::kDown);
  EXPECT_TRUE(f.ok());
  EXPECT_EQ(f.h.state(), State::kUp);
  Feed same;
  same.h.carry(State::kUp, same.now);
  EXPECT_FALSE(same.ok());
  EXPECT_FALSE(same.fail());  // from here on as usual
}

TEST(Hysteresis, AdoptingKeepsTheStateAndCountsAfresh) {
  Feed f({.fall = 3, .rise = 2, .ok_reset = 10});
  f.ok();
  f.fail();
  f.fail();
  Feed other({.fall = 2, .rise = 2, .ok_reset = 10});
  other.h.adopt(f.h);
  EXPECT_EQ(other.h.state(), State::kUp);
  EXPECT_EQ(other.h.thresholds().fall, 2U);
  other.now = f.now;
  EXPECT_FALSE(other.fail());
  EXPECT_TRUE(other.fail());
}

TEST(Hysteresis, RemembersWhenItWasUpForTheLastTime) {
  Feed f;
  f.ok();
  EXPECT_FALSE(f.h.left_up_at());
  f.knock_down();
  EXPECT_EQ(f.h.left_up_at(), f.now);
}

// An independent reading of the contract, on every sequence of ten outcomes and several thresholds (no flap doubling:
// the oracle runs without a second fall within the sequence being doubled, that is with rise_needed asked for).
TEST(Hysteresis, AgreesWithTheContractOnEveryShortSequence) {
  for (std::uint32_t fall = 1; fall <= 3; ++fall) {
    for (std::uint32_t rise = 1; rise <= 3; ++rise) {
      for (std::uint32_t reset = 1; reset <= 4; ++reset) {
        for (unsigned bits = 0; bits < (1U << 10); ++bits) {
          Feed f({.fall = fall, .rise = rise, .ok_reset = reset});
          std::vector<bool> since_change;  // outcomes since the last change of state
          State state = State::kUnknown;
          int falls = 0;
          for (int i = 0; i < 10; ++i) {
            const bool good = ((bits >> i) & 1) != 0;
            good ? f.ok() : f.fail();
            since_change.push_back(good);
            const auto row_at_end = [&](bool what) {
              std::uint32_t n = 0;
              for (auto it = since_change.rbegin(); it != since_change.rend() && *it == what; ++it) ++n;
              return n;
            };
            State next = state;
            if (state == State::kUnknown) {
              next = good ? State::kUp : State::kDown;
            } else if (state == State::kDown) {
              if (row_at_end(true) >= rise * (falls > 1 ? 1U << (falls - 1) : 1U)) next = State::kUp;
            } else {
              std::uint32_t failures = 0;
              std::uint32_t row = 0;
              for (const bool o : since_change) {
                row = o ? row + 1 : 0;
                if (!o) ++failures;
                if (row >= reset) failures = 0;
              }
              if (failures >= fall) next = State::kDown;
            }
            if (next != state) {
              if (state == State::kUp) ++falls;
              // The deciding first success is the first of its row as well.
              const bool first = state == State::kUnknown;
              since_change.clear();
              if (first && good) since_change.push_back(true);
              state = next;
            }
            ASSERT_EQ(f.h.state(), state)
                << "fall " << fall << " rise " << rise << " reset " << reset << " bits " << bits << " at " << i;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace har::health
