#include "store/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>

#include "store/clock_step.h"
#include "store/schema.h"
#include "store/testing.h"

namespace har::store {
namespace {

using health::State;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Store, MakesTheFileWithItsFolderAndTheirModes) {
  const Folder folder;
  const Lines lines;
  const std::string file = folder.file("var/lib/har.db");
  const auto umask_before = umask(0077);
  {
    Store store(file, lines.log(), kPatience);
    EXPECT_EQ(store.trouble(), "");
    EXPECT_TRUE(store.loaded().names.empty());
    EXPECT_TRUE(comes_to_disk(store, file, 1));
    struct stat found {};
    ASSERT_EQ(stat(file.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, 0640U);
    ASSERT_EQ(stat((file + "-wal").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, 0640U);
    ASSERT_EQ(stat(folder.file("var/lib").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0027, 0U);
  }
  umask(umask_before);
  EXPECT_EQ(ask_text(file, "PRAGMA journal_mode"), "wal");
  EXPECT_EQ(ask(file, "PRAGMA user_version"), kSchemaVersion);
  EXPECT_EQ(lines.count("event=store_trouble"), 0) << lines.text();
}

// Rows of it are as old as the wall clock says.
Moment in_another_boot(Instant now, WallTime wall) { return {now, wall, {}, 0}; }

TEST(Store, GivesBackWhatWasPut) {
  const Folder folder;
  const Lines lines;
  const Instant now = net::now();
  const WallTime wall = net::wall_now() - minutes(10);  // as if it had been written ten minutes ago
  {
    Store store(folder.file(), lines.log(), kPatience);
    EndpointRow up = endpoint("a.example", "b", "192.0.2.2", 7);
    up.report.last_check = now - seconds(5);
    up.report.last_success = now - seconds(65);
    up.report.timeouts = 3;
    up.report.connect_errors = 4;
    up.report.response_errors = 5;
    up.report.other_errors = 6;
    up.report.chosen = true;
    EndpointRow drained = endpoint("a.example", "c", "2001:db8::1");
    drained.report.state = State::kDown;
    drained.report.drained = true;
    drained.report.last_success.reset();
    drained.report.last_check = now;
    store.put_state({{"a.example", 42}}, {up, drained}, in_another_boot(now, wall));
  }
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_EQ(store.loaded().names.size(), 1U);
  EXPECT_EQ(store.loaded().names[0].name, "a.example");
  EXPECT_EQ(store.loaded().names[0].queries, 42U);
  ASSERT_EQ(store.loaded().endpoints.size(), 2U);
  const health::StoredEndpoint& up = store.loaded().endpoints[0];
  EXPECT_EQ(up.candidate, "b");
  EXPECT_EQ(up.address.to_string(), "192.0.2.2");
  EXPECT_EQ(up.state, State::kUp);
  EXPECT_TRUE(up.chosen);
  EXPECT_FALSE(up.drained);
  EXPECT_EQ(up.connect_time, microseconds(1234));
  EXPECT_EQ(up.response_time, microseconds(5678));
  EXPECT_EQ(up.successes, 7U);
  EXPECT_EQ(up.timeouts, 3U);
  EXPECT_EQ(up.connect_errors, 4U);
  EXPECT_EQ(up.response_errors, 5U);
  EXPECT_EQ(up.other_errors, 6U);
  EXPECT_NEAR(to_seconds(up.age), 605, 30);
  ASSERT_TRUE(up.since_success);
  EXPECT_NEAR(to_seconds(*up.since_success), 665, 30);
  const health::StoredEndpoint& drained = store.loaded().endpoints[1];
  EXPECT_EQ(drained.address.to_string(), "2001:db8::1");
  EXPECT_EQ(drained.state, State::kDown);
  EXPECT_TRUE(drained.drained);
  EXPECT_FALSE(drained.since_success);
}

TEST(Store, ATimeInTheFutureCountsAsAgeZero) {
  const Folder folder;
  const Lines lines;
  {
    Store store(folder.file(), lines.log(), kPatience);
    store.put_state({{"a.example", 1}}, {endpoint("a.example", "b", "192.0.2.2")},
                    in_another_boot(net::now(), net::wall_now() + hours(24 * 365)));
  }
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_EQ(store.loaded().endpoints.size(), 1U);
  EXPECT_EQ(store.loaded().endpoints[0].age, Duration::zero());
  EXPECT_EQ(store.loaded().endpoints[0].since_success, Duration::zero());
}

TEST(ClockStep, IsNeitherTheFlowNorASlowCorrectionNorSeenTwice) {
  ClockStep clock;
  Instant now{hours(5)};
  WallTime wall{hours(24 * 365 * 50)};
  const auto after = [&](Duration by_ours, Duration by_the_wall) {
    now += by_ours;
    wall += std::chrono::duration_cast<std::chrono::microseconds>(by_the_wall);
    return clock.look(now, wall);
  };
  EXPECT_EQ(after({}, {}), Duration::zero()) << "the first look knows of none before";
  EXPECT_EQ(after(hours(9), hours(9)), Duration::zero());
  for (int i = 0; i < 1'000; ++i) ASSERT_EQ(after(seconds(10), seconds(11)), Duration::zero());
  EXPECT_EQ(after(seconds(1), hours(2)), hours(2) - seconds(1));
  EXPECT_EQ(after(seconds(1), seconds(1)), Duration::zero());
  EXPECT_EQ(after(seconds(1), seconds(1) - hours(3)), -hours(3));
}

TEST(Store, SaysThatItWritesFromNowOnWhenItHasReadAndNotBefore) {
  const Folder folder;
  const Lines lines;
  {
    Store store(folder.file(), lines.log(), kPatience);
    store.put_state({{"a.example", 1}}, {endpoint("a.example", "b", "192.0.2.2")}, Moment::current());
  }
  std::atomic<bool> goes_on = false;
  std::atomic<int> calls = 0;
  Store store(folder.file(), lines.log(), kPatience, {}, [&] {
    ++calls;
    EXPECT_TRUE(eventually([&] { return goes_on.load(); }));
  });
  EXPECT_EQ(store.loaded().endpoints.size(), 1U) << "who waits for what was read does not wait for this";
  goes_on = true;
  store.put_state({{"c.example", 1}}, {}, Moment::current());
  EXPECT_TRUE(eventually([&] { return ask(folder.file(), "SELECT count(*) FROM names") == 2; }));
  EXPECT_EQ(calls, 1);
}

TEST(Store, AnEndpointNeverCheckedIsOlderThanAnyLimit) {
  const Folder folder;
  const Lines lines;
  {
    Store store(folder.file(), lines.log(), kPatience);
    EndpointRow row = endpoint("a.example", "b", "192.0.2.2");
    row.report.last_check.reset();
    row.report.last_success.reset();
    store.put_state({{"a.example", 1}}, {row}, Moment::current());
  }
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_EQ(store.loaded().endpoints.size(), 1U);
  EXPECT_GT(store.loaded().endpoints[0].age, hours(24 * 365));
}

TEST(Store, AKnownTimeDoesNotBecomeNeverAgain) {
  const Folder folder;
  const Lines lines;
  {
    Store store(folder.file(), lines.log(), kPatience);
    ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
    EndpointRow restarted = endpoint("a.example", "b", "192.0.2.2", 2);
    restarted.report.last_check.reset();
    restarted.report.last_success.reset();
    store.put_state({{"a.example", 1}}, {restarted}, Moment::current());
  }
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_EQ(store.loaded().endpoints.size(), 1U);
  EXPECT_EQ(store.loaded().endpoints[0].successes, 2U);
  EXPECT_LT(store.loaded().endpoints[0].age, minutes(5));
}

TEST(Store, AStateChangeIsOnDiskWithinASecond) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
  Duration slowest{};
  for (std::uint64_t i = 2; i < 6; ++i) {
    const Instant start = net::now();
    ASSERT_TRUE(comes_to_disk(store, folder.file(), i));
    slowest = std::max(slowest, net::now() - start);
  }
  EXPECT_LT(slowest, seconds(1));
}

TEST(Store, EndpointsThatAreNoMoreAreRemovedAndOtherNamesLeftAlone) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  store.put_state({{"a.example", 1}, {"z.example", 1}},
                  {endpoint("a.example", "b", "192.0.2.2"), endpoint("a.example", "b", "192.0.2.3"),
                   endpoint("z.example", "b", "192.0.2.4")},
                  Moment::current());
  ASSERT_TRUE(eventually([&] { return ask(folder.file(), "SELECT count(*) FROM candidates") == 3; }));
  store.put_state({{"a.example", 2}}, {endpoint("a.example", "b", "192.0.2.3")}, Moment::current());
  ASSERT_TRUE(eventually([&] { return ask(folder.file(), "SELECT count(*) FROM candidates") == 2; }));
  EXPECT_EQ(ask_text(folder.file(), "SELECT group_concat(address) FROM candidates"), "192.0.2.3,192.0.2.4");
  store.forget_others({"z.example"});
  ASSERT_TRUE(eventually([&] { return ask(folder.file(), "SELECT count(*) FROM candidates") == 1; }));
  EXPECT_EQ(ask_text(folder.file(), "SELECT group_concat(name) FROM names"), "z.example");
}

TEST(Store, ColumnsAreThoseOfTheManual) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  const auto columns = [&](const std::string& table) {
    return ask_text(folder.file(), "SELECT group_concat(name, ', ') FROM pragma_table_info('" + table + "')");
  };
  EXPECT_EQ(columns("names"), "name, queries");
  EXPECT_EQ(columns("candidates"),
            "name, candidate, address, state, admin, chosen, successes, timeouts, connect_errors, response_errors, "
            "other_errors, dns_successes, dns_timeouts, dns_errors, last_check_time, last_success_time, "
            "last_failure_time, last_check_status, connect_time, response_time");
  EXPECT_EQ(columns("clock"), "boot, boot_time");
  EXPECT_EQ(columns("events"), "time, name, candidate, address, kind, old, new, reason");
  EXPECT_EQ(columns("samples"), "time, name, candidate, address, connect_time, response_time, outcome");
}

TEST(Store, EventsAndSamplesCanBeReadByEverybodyAndByUs) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  const WallTime wall = net::wall_now();
  EventRow choice{wall, {}};
  choice.event.kind = health::EventKind::kChoice;
  choice.event.name = "a.example";
  choice.event.old_value = "192.0.2.1";
  choice.event.new_value = "192.0.2.2";
  choice.event.reason = "best_rtt";
  store.put_events({event("a.example", "timeout streak=3", wall - seconds(1)), choice, event("z.example", "x", wall)});
  store.put_samples({sample("a.example", wall, health::Outcome::kConnectError)});
  ASSERT_TRUE(eventually([&] { return ask(folder.file(), "SELECT count(*) FROM samples") == 1; }));
  EXPECT_EQ(ask_text(folder.file(),
                     "SELECT kind || ' ' || candidate || ' ' || address || ' ' || old || ' ' || new || ' ' || reason "
                     "FROM events WHERE kind = 'state' AND name = 'a.example'"),
            "state b 192.0.2.2 up down timeout streak=3");
  EXPECT_EQ(ask(folder.file(),
                "SELECT count(*) FROM events WHERE candidate IS NULL AND address IS NULL AND "
                "kind = 'choice' AND abs(time - strftime('%s', 'now')) < 60"),
            1);
  EXPECT_EQ(ask_text(folder.file(), "SELECT outcome || connect_time || '/' || response_time FROM samples"),
            "connect_error100/200");

  std::atomic<bool> is_read = false;
  History history;
  store.read_history({.name = "a.example"}, [&](History read) {
    history = std::move(read);
    is_read = true;
  });
  ASSERT_TRUE(eventually([&] { return is_read.load(); }));
  EXPECT_EQ(history.trouble, "");
  ASSERT_EQ(history.events.size(), 2U);
  EXPECT_EQ(history.events[0].event.reason, "timeout streak=3");
  EXPECT_EQ(history.events[0].time, wall - seconds(1));
  EXPECT_EQ(history.events[1].event.kind, health::EventKind::kChoice);
  EXPECT_FALSE(history.events[1].event.address);
  ASSERT_EQ(history.samples.size(), 1U);
  EXPECT_EQ(history.samples[0].outcome, health::Outcome::kConnectError);
}

TEST(Store, ReadsAnOlderVersionsFileAndMovesItForward) {
  const Folder folder;
  const Lines lines;
  {
    SQLite::Database old(folder.file(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    make_schema(old, 1);
    old.exec(
        "INSERT INTO names VALUES ('a.example', 9);"
        "INSERT INTO candidates VALUES ('a.example', 'b', '192.0.2.2', 'up', 'auto', 1, 5, 0, 0, 0, 0, 0, 0, 0,"
        "strftime('%s', 'now'), NULL, NULL, 'ok', 10, 20)");
  }
  Store store(folder.file(), lines.log(), kPatience);
  EXPECT_EQ(store.trouble(), "");
  ASSERT_EQ(store.loaded().endpoints.size(), 1U);
  EXPECT_EQ(store.loaded().names.at(0).queries, 9U);
  ASSERT_TRUE(comes_to_disk(store, folder.file(), 6));
  EXPECT_EQ(ask(folder.file(), "PRAGMA user_version"), kSchemaVersion);
  EXPECT_EQ(ask(folder.file(), "SELECT count(*) FROM sqlite_master WHERE name = 'samples_time'"), 1);
  EXPECT_EQ(lines.count("event=store_migrated"), 1) << lines.text();
}

TEST(Store, RowsThatMakeNoSenseAreLeftOut) {
  const Folder folder;
  const Lines lines;
  {
    SQLite::Database old(folder.file(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    make_schema(old, kSchemaVersion);
    old.exec(
        "INSERT INTO candidates VALUES ('a', 'b', 'no address', 'up', 'auto', 1, 5, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, '', "
        "1, 1);"
        "INSERT INTO candidates VALUES ('a', 'b', '192.0.2.1', 'sideways', x'00ff', 'yes', -5, 'many', 0, 0, 0, 0, 0, "
        "0,"
        "1e308, -1e308, 'when', NULL, -9, 9e18)");
  }
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_EQ(store.loaded().endpoints.size(), 1U);
  const health::StoredEndpoint& row = store.loaded().endpoints[0];
  EXPECT_EQ(row.state, State::kUnknown);
  EXPECT_FALSE(row.drained);
  EXPECT_EQ(row.successes, 0U);
  EXPECT_EQ(row.connect_time, Duration::zero());
  EXPECT_LE(row.response_time, hours(1));
  EXPECT_EQ(row.age, Duration::zero());
  EXPECT_GT(row.since_success.value(), hours(24 * 365));
}

TEST(Store, AnotherProgramMayReadAndWriteWhileWeRun) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
  SQLite::Database other(folder.file(), SQLite::OPEN_READWRITE, 2'000);
  other.exec("INSERT INTO names VALUES ('theirs', 5)");
  SQLite::Statement reading(other, "SELECT * FROM candidates");
  ASSERT_TRUE(reading.executeStep());  // a read transaction that stays open
  EXPECT_TRUE(comes_to_disk(store, folder.file(), 2));
  EXPECT_EQ(ask(folder.file(), "SELECT queries FROM names WHERE name = 'theirs'"), 5);
  EXPECT_EQ(store.trouble(), "");
}

TEST(Store, ManyThreadsMayPutWhileItWrites) {
  const Folder folder;
  const Lines lines;
  {
    Store store(folder.file(), lines.log(), kPatience);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) {
          store.put_events({event("a.example", "r")});
          store.put_samples({sample("a.example", net::wall_now())});
          put_one(store, static_cast<std::uint64_t>(i));
          (void)store.trouble();
          if (i % 20 == 0) std::this_thread::sleep_for(milliseconds(20));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(ask(folder.file(), "SELECT count(*) FROM events"), 600);
  EXPECT_EQ(ask(folder.file(), "SELECT count(*) FROM samples"), 600);
}

// What a killed process leaves must be whole, and of a batch all or nothing: `queries` and `successes` grow together.
TEST(Store, KilledInTheMiddleOfWritingItLeavesAWholeFile) {
  const Folder folder;
  const Lines lines;
  { const Store makes_the_file(folder.file(), lines.log(), kPatience); }
  for (int round = 0; round < 8; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Store store(folder.file(), lines.log(), kPatience);
      for (std::uint64_t i = 1;; ++i) {
        store.put_samples(std::vector<Sample>(2'000, sample("a.example", net::wall_now())));
        put_one(store, static_cast<std::uint64_t>(round) * 1'000'000 + i);
        std::this_thread::sleep_for(milliseconds(2));
      }
    }
    const std::int64_t floor = round * 1'000'000;
    EXPECT_TRUE(eventually([&] { return ask(folder.file(), "SELECT max(queries) FROM names") > floor; }));
    std::this_thread::sleep_for(milliseconds(37 * round));  // another moment of its write in each round
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const Store store(folder.file(), lines.log(), kPatience);
    ASSERT_EQ(store.loaded().endpoints.size(), 1U);
    EXPECT_GT(store.loaded().names.at(0).queries, static_cast<std::uint64_t>(floor));
    EXPECT_EQ(store.loaded().endpoints[0].successes, store.loaded().names[0].queries);
    EXPECT_EQ(ask_text(folder.file(), "PRAGMA integrity_check"), "ok");
  }
  EXPECT_TRUE(folder.set_aside().empty()) << lines.text();
}

}  // namespace
}  // namespace har::store
