#include "store/row_clock.h"

#include <gtest/gtest.h>

#include "store/rows.h"
#include "store/schema.h"
#include "store/testing.h"

namespace har::store {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kYear = hours(24 * 365);
constexpr std::uint64_t kBoot = 77;

// A machine's clocks, and a file in memory that is written by them.
class RowClockTest : public testing::Test {
 protected:
  RowClockTest() { make_schema(database_, kSchemaVersion); }

  void pass(Duration time) {
    now_.now += time;
    now_.since_boot += time;
    step(time);
  }
  void step(Duration time) { now_.wall += std::chrono::duration_cast<microseconds>(time); }
  void boot_again(Duration off_for = minutes(1)) {
    step(off_for);
    now_.now = now_.since_boot = Instant{seconds(10)};
    ++now_.boot;
  }

  // Checked just now.
  EndpointRow checked(std::uint64_t successes) const {
    EndpointRow row = endpoint("a.example", "b", "192.0.2.2", successes);
    row.report.last_check = row.report.last_success = row.report.last_failure = now_.now;
    return row;
  }
  void write(Rows& rows, std::vector<EndpointRow> endpoints) const {
    Batch batch;
    std::vector<NameRow> names;
    if (!endpoints.empty()) names.push_back({"a.example", 1});
    batch.state = StateRows::of(std::move(names), std::move(endpoints), now_);
    rows.write(batch);
  }
  void write(std::vector<EndpointRow> endpoints) {
    Rows rows(database_);
    write(rows, std::move(endpoints));
  }
  double age() const { return to_seconds(load(database_, now_).endpoints.at(0).age); }
  double age_by_the_wall_clock() const {
    const double checked = database_.execAndGet("SELECT last_check_time FROM candidates").getDouble();
    return static_cast<double>(now_.wall.time_since_epoch().count()) / 1e6 - checked;
  }

  Moment now_{Instant{hours(5)}, WallTime{hours(24 * 365 * 50)}, Instant{hours(6)}, kBoot};
  mutable SQLite::Database database_{":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE};
};

// Whoever was killed right after a step had no time to write anything: its rows were taken for a year old.
TEST_F(RowClockTest, AStepDoesNotMakeWhatWasWrittenInThisBootOld) {
  write({checked(1)});
  pass(minutes(2));
  for (const Duration by : {kYear, -2 * kYear}) {
    step(by);
    EXPECT_NEAR(age(), 120, 1e-3);
    EXPECT_NEAR(to_seconds(load(database_, now_).endpoints[0].since_success.value()), 120, 1e-3);
    EXPECT_EQ(Rows(database_).read_back(now_).names["a.example"].endpoints.at(0).report.last_check,
              now_.now - minutes(2));
  }
}

TEST_F(RowClockTest, WhatWasWrittenInAnotherBootIsAsOldAsTheWallClockSays) {
  write({checked(1)});
  boot_again(hours(3));
  EXPECT_NEAR(age(), 3 * 3'600, 1e-3);
}

// Else a start after the step and another boot would take rows that have not changed since for a year old.
TEST_F(RowClockTest, AfterAStepWhatIsThereFollowsAlthoughItHasNotChanged) {
  for (const Duration by : {kYear, -kYear}) {
    Rows rows(database_);
    write(rows, {checked(1)});
    pass(minutes(2));
    step(by);
    EXPECT_NEAR(age_by_the_wall_clock(), 120 + to_seconds(by), 1e-3);
    write(rows, {});
    EXPECT_NEAR(age_by_the_wall_clock(), 120, 1e-3);
    write(rows, {});
    EXPECT_NEAR(age_by_the_wall_clock(), 120, 1e-3) << "once";
    boot_again();
    EXPECT_NEAR(age(), 180, 1e-3);
  }
}

TEST_F(RowClockTest, ASlowCorrectionIsFollowedWhenItHasGrown) {
  write({checked(1)});
  for (int i = 0; i < 90; ++i) {
    pass(seconds(10));
    step(seconds(1));
    write({});
  }
  EXPECT_NEAR(age(), 900, 1e-3);
  EXPECT_NEAR(age_by_the_wall_clock(), 900, 60);
}

// They are by the clock that was there before.
TEST_F(RowClockTest, AStepLeavesRowsOfAnEarlierBootAlone) {
  write({checked(1)});
  boot_again(hours(24));
  step(kYear);
  write({});
  step(-kYear);
  EXPECT_NEAR(age(), 24 * 3'600, 1e-3) << "before anything is written";
  write({});
  EXPECT_NEAR(age(), 24 * 3'600, 1e-3);
}

TEST_F(RowClockTest, NorDoTheyComeIntoTheFutureWhereTheClockBeganBehindThem) {
  write({checked(1)});
  boot_again(hours(24));
  step(-kYear);
  write({});
  EXPECT_EQ(age(), 0) << "it seems to come from the future, and better is not known";
  step(kYear);
  EXPECT_NEAR(age(), 24 * 3'600, 1e-3);
  write({});
  EXPECT_NEAR(age(), 24 * 3'600, 1e-3);
}

// What was remembered of the file, instead of asked, made all that was written from then on a year old.
TEST_F(RowClockTest, AFileThatAnOlderOneWasPutIntoIsBelievedAsItIs) {
  Rows rows(database_);
  write(rows, {checked(1)});
  const double boot_time = database_.execAndGet("SELECT boot_time FROM clock").getDouble();
  step(-kYear);
  write(rows, {checked(2)});
  database_.exec("UPDATE clock SET boot_time = " + std::to_string(boot_time));
  write(rows, {checked(3)});
  pass(minutes(2));
  EXPECT_NEAR(age(), 120, 1e-3);
}

TEST_F(RowClockTest, WhoCannotTellTheBootLeavesNoClockThatHisRowsAreNotBy) {
  write({checked(1)});
  step(-kYear);
  now_.boot = 0;
  write({checked(2)});
  pass(minutes(2));
  EXPECT_NEAR(age(), 120, 1e-3);
  now_.boot = kBoot;
  EXPECT_NEAR(age(), 120, 1e-3);
}

TEST_F(RowClockTest, NonsenseInTheTableIsNoHarm) {
  write({checked(1)});
  for (const char* nonsense : {"NULL, NULL", "77, 1e308", "77, -1e308", "77, 9e999", "'when', x'00ff'", "77, 'now'"}) {
    database_.exec(
        "DROP TABLE clock; CREATE TABLE clock (boot, boot_time);"
        "INSERT INTO clock VALUES (" +
        std::string(nonsense) + ")");
    EXPECT_GE(age(), 0) << nonsense;
    write({checked(2)});
    pass(minutes(2));
    EXPECT_NEAR(age(), 120, 1e-3) << nonsense;
    pass(-minutes(2));
  }
}

TEST(Moment, KnowsTheBoot) { EXPECT_NE(Moment::current().boot, 0U); }

}  // namespace
}  // namespace har::store
