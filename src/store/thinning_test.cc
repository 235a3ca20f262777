#include "store/thinning.h"

#include <gtest/gtest.h>

#include <set>

#include "store/rows.h"
#include "store/schema.h"
#include "store/testing.h"

namespace har::store {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const WallTime kNow{std::chrono::sys_days(std::chrono::year(2030) / 5 / 17) + hours(13) + minutes(7)};

class ThinningTest : public testing::Test {
 protected:
  ThinningTest() {
    std::ofstream(folder_.file()).close();
    connection_.emplace(Connection::open(folder_.file(), Connection::Mode::kWrite, seconds(1)).value());
    EXPECT_TRUE(migrate(*connection_));
  }
  void write(std::vector<Sample> samples, std::vector<EventRow> events = {}) {
    Batch batch;
    batch.samples = std::move(samples);
    batch.events = std::move(events);
    Rows(connection_->sql()).write(batch);
  }
  int thin(Thinning& thinning, WallTime now) {
    for (int steps = 1; steps < 10'000; ++steps) {
      const auto is_all = thinning.step(*connection_, now);
      EXPECT_TRUE(is_all) << is_all.error().message;
      if (!is_all || *is_all) return steps;
    }
    return -1;
  }
  std::int64_t count(const std::string& where = "1") {
    return connection_->sql().execAndGet("SELECT count(*) FROM samples WHERE " + where).getInt64();
  }

  Folder folder_;
  std::optional<Connection> connection_;
};

TEST_F(ThinningTest, LeavesTheLastHourAlone) {
  std::vector<Sample> samples;
  for (int i = 0; i < 1'000; ++i) samples.push_back(sample("a", kNow - seconds(i * 3)));
  write(samples);
  Thinning thinning;
  thin(thinning, kNow);
  EXPECT_EQ(count(), 1'000);
}

TEST_F(ThinningTest, KeepsOneAMinuteAfterAnHourAndOneAQuarterAfterADay) {
  std::vector<Sample> samples;
  for (int i = 0; i < 48 * 1800; ++i) samples.push_back(sample("a", kNow - seconds(2 * i)));  // two days, every 2 s
  write(samples);
  Thinning thinning;
  EXPECT_GT(thin(thinning, kNow), 4);  // in steps: others must not wait long
  EXPECT_EQ(count("time > " + std::to_string((kNow - hours(1)).time_since_epoch().count() / 1'000'000)), 1'800);
  EXPECT_NEAR(static_cast<double>(count()), 1'800 + 23 * 60 + 24 * 4,
              20);  // one hour and one day begin within a bucket
  const auto thinned = count();
  EXPECT_EQ(thin(thinning, kNow), 1);
  EXPECT_EQ(count(), thinned);  // twice is once
}

TEST_F(ThinningTest, ThinsAsTimeGoesOnToWhatOnePassWouldLeave) {
  Thinning thinning;
  for (int minute = 0; minute < 5 * 60; ++minute) {
    std::vector<Sample> samples;
    for (int i = 0; i < 6; ++i) samples.push_back(sample("a", kNow + minutes(minute) + seconds(10 * i)));
    write(samples);
    thin(thinning, kNow + minutes(minute + 1));
  }
  EXPECT_NEAR(static_cast<double>(count()), 60 * 6 + 4 * 60, 12);
}

TEST_F(ThinningTest, ARareFailureAmongSuccessesStaysVisible) {
  std::vector<Sample> samples;
  for (int i = 0; i < 600; ++i) {
    samples.push_back(
        sample("a", kNow - hours(3) + seconds(i), i == 321 ? health::Outcome::kTimeout : health::Outcome::kOk));
  }
  write(samples);
  Thinning thinning;
  thin(thinning, kNow);
  EXPECT_EQ(count("outcome = 'timeout'"), 1);
  EXPECT_LE(count("outcome = 'ok'"), 11);
}

TEST_F(ThinningTest, ForgetsWhatIsOlderThanAMonth) {
  write({sample("a", kNow - hours(24 * 31)), sample("a", kNow - hours(24 * 29))});
  Thinning thinning;
  thin(thinning, kNow);
  EXPECT_EQ(count(), 1);
}

TEST_F(ThinningTest, BoundsTheNumberAndTheFirstWrittenGo) {
  std::vector<Sample> samples;
  // Written by a clock that was far ahead: they must not outlive what is written later.
  for (int i = 0; i < 100; ++i) samples.push_back(sample("ahead", kNow + hours(24 * 365)));
  for (int i = 0; i < 100; ++i) samples.push_back(sample("a", kNow));
  std::vector<EventRow> events(60, event("a", "r"));
  write(samples, events);
  Thinning thinning({.samples = 120, .events = 50});
  thin(thinning, kNow);
  EXPECT_EQ(count(), 120);
  EXPECT_EQ(count("name = 'a'"), 100);
  EXPECT_EQ(connection_->sql().execAndGet("SELECT count(*) FROM events").getInt(), 50);
}

TEST_F(ThinningTest, AClockThatStepsBackAndForthDoesNoHarm) {
  write({sample("a", kNow - hours(2)), sample("a", kNow), sample("a", kNow + hours(2))});
  Thinning thinning;
  thin(thinning, kNow);
  thin(thinning, kNow - hours(24 * 365 * 10));
  thin(thinning, WallTime{});
  thin(thinning, kNow);
  EXPECT_EQ(count(), 3);
}

TEST_F(ThinningTest, RowsThatSayNonsenseDoNoHarm) {
  connection_->sql().exec(
      "INSERT INTO samples VALUES (-1e300, 'a', 'b', 'c', 1, 1, 'ok'), (1e300, 'a', 'b', 'c', 1, 1, 'ok'),"
      "('text', 'a', 'b', 'c', 1, 1, 'ok'), (x'00', 'a', 'b', 'c', 1, 1, 'ok')");
  Thinning thinning;
  EXPECT_GT(thin(thinning, kNow), 0);
}

}  // namespace
}  // namespace har::store
