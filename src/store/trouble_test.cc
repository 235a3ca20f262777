// What may be wrong with a file or a disk: none of it delays the start, ends the daemon or is kept to itself.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <random>

#include "store/disk.h"
#include "store/schema.h"
#include "store/store.h"
#include "store/testing.h"

namespace har::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Opened on whatever stands at `file`, the store works: at once or after setting it aside.
void expect_works(const std::string& file, const Lines& lines) {
  {
    Store store(file, lines.log(), kPatience);
    ASSERT_TRUE(comes_to_disk(store, file, 77)) << lines.text();
    EXPECT_TRUE(eventually([&] { return store.trouble().empty(); }));  // said a moment after the write
  }
  EXPECT_EQ(ask_text(file, "PRAGMA integrity_check"), "ok");
}

void overwrite(const std::string& file, std::streamoff at, const std::string& with) {
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(at);
  out.write(with.data(), static_cast<std::streamsize>(with.size()));
}

TEST(StoreTrouble, GarbageIsSetAsideWithItsCompanions) {
  const Folder folder;
  const Lines lines;
  const std::string garbage = noise(10'000, 1);
  std::ofstream(folder.file(), std::ios::binary) << garbage;
  std::ofstream(folder.file() + "-wal", std::ios::binary) << "log";
  expect_works(folder.file(), lines);
  ASSERT_EQ(folder.set_aside().size(), 1U);
  EXPECT_EQ(slurp(folder.set_aside()[0]), garbage);
  EXPECT_EQ(lines.count("event=store_set_aside"), 1) << lines.text();
}

TEST(StoreTrouble, AFileOfZeroesIsSetAsideAndAnEmptyOneIsFilled) {
  const Lines lines;
  const Folder zeroes, empty;
  std::ofstream(zeroes.file(), std::ios::binary) << std::string(8'192, '\0');
  expect_works(zeroes.file(), lines);
  EXPECT_EQ(zeroes.set_aside().size(), 1U);
  std::ofstream(empty.file()).close();
  expect_works(empty.file(), lines);
  EXPECT_TRUE(empty.set_aside().empty());
}

TEST(StoreTrouble, ATruncatedFileIsSetAside) {
  const Folder folder;
  make_file(folder.file());
  const std::string whole = slurp(folder.file());
  for (const std::size_t size :
       {std::size_t{50}, std::size_t{4'096}, whole.size() / 2, whole.size() - 4'096, whole.size() - 1}) {
    const Folder cut;
    const Lines lines;
    std::ofstream(cut.file(), std::ios::binary) << whole.substr(0, size);
    expect_works(cut.file(), lines);
    // A last page may end in octets of no meaning.
    if (size + 1 < whole.size()) {
      EXPECT_EQ(cut.set_aside().size(), 1U) << size << "\n" << lines.text();
    }
  }
}

TEST(StoreTrouble, WhicheverPageIsDamagedTheStoreGoesOn) {
  const Folder folder;
  make_file(folder.file());
  const std::string whole = slurp(folder.file());
  const std::size_t pages = whole.size() / 4'096;
  ASSERT_GT(pages, 15U);
  std::size_t set_aside = 0;
  for (std::size_t page = 0; page < pages; ++page) {
    for (int kind = 0; kind < 2; ++kind) {
      const Folder damaged;
      const Lines lines;
      std::ofstream(damaged.file(), std::ios::binary) << whole;
      overwrite(damaged.file(), static_cast<std::streamoff>(page * 4'096),
                kind == 0 ? noise(4'096, static_cast<unsigned>(page)) : std::string(4'096, '\0'));
      expect_works(damaged.file(), lines);
      set_aside += damaged.set_aside().size();
    }
  }
  EXPECT_GT(set_aside, pages * 3 / 2);  // the rest are pages that hold nothing
}

TEST(StoreTrouble, SmallDamageAnywhereNeverEndsTheStore) {
  const Folder folder;
  make_file(folder.file());
  const std::string whole = slurp(folder.file());
  std::mt19937 random(7);
  for (int round = 0; round < 40; ++round) {
    const Folder damaged;
    const Lines lines;
    std::ofstream(damaged.file(), std::ios::binary) << whole;
    for (int i = 0; i < 20; ++i) {
      // Not in the header: there it may say that the file is another program's, and such a one is left alone.
      overwrite(damaged.file(), 100 + static_cast<std::streamoff>(random() % (whole.size() - 100)),
                noise(1 + random() % 8, static_cast<unsigned>(random())));
    }
    Store store(damaged.file(), lines.log(), kPatience);
    EXPECT_TRUE(comes_to_disk(store, damaged.file(), 77)) << lines.text();
  }
}

TEST(StoreTrouble, AMissingTableIsDamageToo) {
  const Folder folder;
  const Lines lines;
  make_file(folder.file());
  SQLite::Database(folder.file(), SQLite::OPEN_READWRITE).exec("DROP TABLE samples");
  expect_works(folder.file(), lines);
  EXPECT_EQ(folder.set_aside().size(), 1U);
}

TEST(StoreTrouble, DamageFoundWhileRunningIsAnsweredTheSameWay) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
  // A change by somebody else makes the store read its pages again ...
  SQLite::Database(folder.file(), SQLite::OPEN_READWRITE, 2'000).exec("INSERT INTO names VALUES ('theirs', 5)");
  // ... and then they are gone. dd leaves inode and locks alone.
  for (const char* which : {"", "-wal"}) {
    shell("dd if=/dev/urandom of=" + folder.file() + which + " bs=4096 count=20 conv=notrunc status=none");
  }
  EXPECT_TRUE(comes_to_disk(store, folder.file(), 2)) << lines.text();
  EXPECT_EQ(folder.set_aside().size(), 1U) << lines.text();
  EXPECT_EQ(ask_text(folder.file(), "PRAGMA integrity_check"), "ok");
  EXPECT_EQ(store.trouble(), "");
}

TEST(StoreTrouble, OfManyDamagedFilesTheNewestStay) {
  const Folder folder;
  const WallTime start = net::wall_now();
  for (int i = 0; i < 12; ++i) {
    std::ofstream(folder.file()) << i;
    ASSERT_TRUE(set_aside(folder.file(), start + seconds(i / 2)));
  }
  ASSERT_EQ(folder.set_aside().size(), kCorruptKept);
  int newest = 0;
  for (const std::string& file : folder.set_aside()) newest = std::max(newest, std::stoi(slurp(file)));
  EXPECT_EQ(newest, 11);
}

TEST(StoreTrouble, ADeletedFileIsMadeAgain) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
  std::filesystem::remove(folder.file());
  EXPECT_TRUE(eventually([&] { return ask(folder.file(), "SELECT successes FROM candidates") == 1; }))
      << "what was written before must come again by itself";
  std::filesystem::remove_all(std::filesystem::path(folder.file()).parent_path());
  EXPECT_TRUE(comes_to_disk(store, folder.file(), 2)) << lines.text();
  EXPECT_TRUE(eventually([&] { return lines.count("event=store_file_lost") == 2; })) << lines.text();
}

TEST(StoreTrouble, AnIdleStoreNoticesADeletedFileAsWell) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
  std::filesystem::remove(folder.file());
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(folder.file()); }));
}

TEST(StoreTrouble, AReplacedFileIsOpenedAnew) {
  const Folder folder;
  const Lines lines;
  make_file(folder.file("other.db"));
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
  std::filesystem::rename(folder.file("other.db"), folder.file());
  put_one(store, 2);
  // With the log of the file that is gone it would be a mixture of both.
  EXPECT_TRUE(eventually([&] {
    return ask(folder.file(), "SELECT count(*) FROM events") == 300 &&
           ask(folder.file(), "SELECT successes FROM candidates") == 2;
  })) << lines.text();
}

TEST(StoreTrouble, ALostLogDoesNotCostWhatItHeld) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
  std::filesystem::remove(folder.file() + "-wal");
  std::filesystem::remove(folder.file() + "-shm");
  EXPECT_TRUE(comes_to_disk(store, folder.file(), 2)) << lines.text();
  EXPECT_EQ(ask_text(folder.file(), "PRAGMA integrity_check"), "ok");
}

TEST(StoreTrouble, ALockedFileDelaysNothingAndIsUsedWhenItIsFree) {
  const Folder folder;
  const Lines lines;
  make_file(folder.file());
  std::optional<SQLite::Database> other(std::in_place, folder.file(), SQLite::OPEN_READWRITE);
  other->exec("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO names VALUES ('theirs', 1)");
  const Instant start = net::now();
  Store store(folder.file(), lines.log(), milliseconds(100));
  EXPECT_LT(net::now() - start, milliseconds(1'500));  // the machine may be busy; a lock's own waits add up to more
  EXPECT_TRUE(store.loaded().endpoints.empty());
  put_one(store, 5);
  EXPECT_TRUE(eventually([&] { return store.trouble().find("locked") != std::string::npos; })) << store.trouble();
  other->exec("COMMIT");
  other.reset();
  EXPECT_TRUE(eventually(
      [&] { return ask(folder.file(), "SELECT successes FROM candidates WHERE address = '192.0.2.2'") == 5; }));
  EXPECT_TRUE(eventually([&] { return store.trouble().empty(); }));
  EXPECT_EQ(lines.count("event=store_trouble"), 1) << lines.text();
  EXPECT_EQ(lines.count("event=store_recovered"), 1) << lines.text();
}

TEST(StoreTrouble, AWriterInTheWayCostsNothing) {
  const Folder folder;
  const Lines lines;
  Store store(folder.file(), lines.log(), kPatience);
  ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
  SQLite::Database other(folder.file(), SQLite::OPEN_READWRITE, 2'000);
  other.exec("BEGIN IMMEDIATE");
  store.put_events({event("a.example", "while locked")});
  std::this_thread::sleep_for(milliseconds(900));
  store.put_events({event("a.example", "and later")});
  other.exec("COMMIT");
  EXPECT_TRUE(eventually([&] { return ask(folder.file(), "SELECT count(*) FROM events") == 2; })) << lines.text();
  EXPECT_EQ(ask_text(folder.file(), "SELECT group_concat(reason) FROM (SELECT reason FROM events ORDER BY rowid)"),
            "while locked,and later");
}

TEST(StoreTrouble, AnEndWhileLockedTakesItsLastWordsTimeAndNoMore) {
  const Folder folder;
  const Lines lines;
  SQLite::Database other(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  Instant start;
  {
    Store store(folder.file(), lines.log(), kPatience);
    ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
    other = SQLite::Database(folder.file(), SQLite::OPEN_READWRITE, 2'000);
    other.exec("BEGIN IMMEDIATE");
    put_one(store, 2);
    start = net::now();
  }
  EXPECT_LT(net::now() - start, milliseconds(1'000));
  other.exec("COMMIT");
}

TEST(StoreTrouble, ANewerVersionsFileIsLeftAlone) {
  const Folder folder;
  const Lines lines;
  {
    SQLite::Database newer(folder.file(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    make_schema(newer, kSchemaVersion);
    newer.exec("PRAGMA user_version=99");
  }
  const std::string before = slurp(folder.file());
  {
    Store store(folder.file(), lines.log(), kPatience);
    EXPECT_NE(store.trouble().find("newer version"), std::string::npos) << store.trouble();
    EXPECT_TRUE(store.loaded().endpoints.empty());
    put_one(store, 1);
  }
  EXPECT_EQ(slurp(folder.file()), before);
  EXPECT_TRUE(folder.set_aside().empty());
  EXPECT_EQ(lines.count("event=store_trouble"), 1) << lines.text();
}

TEST(StoreTrouble, AnotherProgramsDatabaseIsLeftAlone) {
  const Folder folder;
  const Lines lines;
  SQLite::Database(folder.file(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("CREATE TABLE names (theirs)");
  const std::string before = slurp(folder.file());
  {
    Store store(folder.file(), lines.log(), kPatience);
    EXPECT_NE(store.trouble().find("another program"), std::string::npos) << store.trouble();
    put_one(store, 1);
  }
  EXPECT_EQ(slurp(folder.file()), before);
}

TEST(StoreTrouble, WhatIsNoRegularFileIsLeftAlone) {
  const Folder folder;
  for (const std::string& path : {std::string("/dev/null"), folder.file("a-folder"), folder.file("a-pipe")}) {
    if (path.ends_with("folder")) mkdir(path.c_str(), 0755);
    if (path.ends_with("pipe")) mkfifo(path.c_str(), 0644);
    const Lines lines;
    Store store(path, lines.log(), kPatience);
    put_one(store, 1);
    EXPECT_NE(store.trouble().find("not a regular file"), std::string::npos) << path << ": " << store.trouble();
  }
}

// The thread that runs this sees a small disk of its own at `at`, and so does every thread that it starts.
class SmallDisk : public testing::Test {
 protected:
  void run(const std::string& options, const std::function<void()>& test) {
    bool is_mounted = false;
    std::thread([&] {
      if (unshare(CLONE_NEWNS) != 0) return;
      // In a chroot / is no mount point and cannot be made private: there the unmounting below keeps others out.
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
      if (mount("har-test", folder_.file("disk").c_str(), "tmpfs", 0, options.c_str()) != 0) return;
      is_mounted = true;
      test();
      umount2(folder_.file("disk").c_str(), MNT_DETACH);
    }).join();
    if (!is_mounted) GTEST_SKIP() << "needs the right to mount";
  }
  void SetUp() override { ASSERT_EQ(mkdir(disk_.c_str(), 0755), 0); }
  void remount(unsigned long flags) {
    EXPECT_EQ(mount("har-test", disk_.c_str(), "tmpfs", MS_REMOUNT | flags, nullptr), 0);
  }
  void fill() {
    const net::Fd out(open((disk_ + "/filler").c_str(), O_WRONLY | O_CREAT, 0644));
    const std::string block(4'096, 'x');
    while (write(out.get(), block.data(), block.size()) > 0) {
    }
  }

  Folder folder_;
  Lines lines_;
  const std::string disk_ = folder_.file("disk");
  const std::string file_ = disk_ + "/har.db";
};

TEST_F(SmallDisk, FullWhileRunningCostsHistoryAndIsUsedAgainWhenThereIsRoom) {
  run("size=1m", [&] {
    Store store(file_, lines_.log(), kPatience);
    ASSERT_TRUE(comes_to_disk(store, file_, 1));
    fill();
    for (int i = 0; i < 20; ++i) {
      store.put_samples(std::vector<Sample>(500, sample("a.example", net::wall_now())));
      put_one(store, static_cast<std::uint64_t>(i) + 2);
    }
    EXPECT_TRUE(eventually([&] { return store.trouble().find("full") != std::string::npos; })) << store.trouble();
    EXPECT_EQ(lines_.count("event=store_trouble"), 1) << lines_.text();
    std::filesystem::remove(disk_ + "/filler");
    remount(0);
    EXPECT_TRUE(comes_to_disk(store, file_, 99)) << lines_.text();
    EXPECT_TRUE(eventually([&] { return store.trouble().empty(); }));
    EXPECT_EQ(ask_text(file_, "PRAGMA integrity_check"), "ok");
  });
}

TEST_F(SmallDisk, FullAtTheStartWhatIsStoredIsStillRead) {
  run("size=1m", [&] {
    make_file(file_);
    fill();
    Store store(file_, lines_.log(), kPatience);
    EXPECT_EQ(store.loaded().endpoints.size(), 200U) << lines_.text();
    put_one(store, 5);
    EXPECT_TRUE(eventually([&] { return !store.trouble().empty(); }));
    std::filesystem::remove(disk_ + "/filler");
    EXPECT_TRUE(eventually([&] { return ask(file_, "SELECT count(*) FROM candidates") == 1; })) << lines_.text();
  });
}

TEST_F(SmallDisk, FullAtTheFirstStartTheFileIsMadeWhenThereIsRoom) {
  run("size=64k", [&] {
    fill();
    Store store(file_, lines_.log(), kPatience);
    put_one(store, 5);
    EXPECT_FALSE(store.trouble().empty());
    EXPECT_TRUE(store.loaded().endpoints.empty());
    std::filesystem::remove(disk_ + "/filler");
    EXPECT_EQ(mount("har-test", disk_.c_str(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
    EXPECT_TRUE(comes_to_disk(store, file_, 6)) << lines_.text();
  });
}

TEST_F(SmallDisk, ReadOnlyIsReadAndSaidAndUsedAgainWhenItCanBeWritten) {
  run("size=4m", [&] {
    make_file(file_);
    remount(MS_RDONLY);
    Store store(file_, lines_.log(), kPatience);
    EXPECT_EQ(store.loaded().endpoints.size(), 200U) << lines_.text();
    put_one(store, 5);
    EXPECT_FALSE(store.trouble().empty());
    std::this_thread::sleep_for(seconds(4));  // over an attempt: it is not said again
    EXPECT_EQ(lines_.count("event=store_trouble"), 1) << lines_.text();
    remount(0);
    EXPECT_TRUE(comes_to_disk(store, file_, 6)) << lines_.text();
    EXPECT_TRUE(eventually([&] { return store.trouble().empty(); }));  // said a moment after the write
  });
}

TEST_F(SmallDisk, ReadOnlyAndCorruptIsLeftThere) {
  run("size=4m", [&] {
    std::ofstream(file_, std::ios::binary) << noise(5'000, 3);
    remount(MS_RDONLY);
    Store store(file_, lines_.log(), kPatience);
    EXPECT_FALSE(store.trouble().empty());
    put_one(store, 5);
    remount(0);
    EXPECT_TRUE(comes_to_disk(store, file_, 6)) << lines_.text();
  });
}

// Without the right to mount, a limit on the size of files stands for a full disk.
TEST(StoreTrouble, AFileThatMayNotGrowCostsHistoryOnly) {
  const Folder folder;
  const Lines lines;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  {
    Store store(folder.file(), lines.log(), kPatience);
    ASSERT_TRUE(comes_to_disk(store, folder.file(), 1));
    const rlimit small{200'000, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 10; ++i) store.put_samples(std::vector<Sample>(1'000, sample("a.example", net::wall_now())));
    EXPECT_TRUE(eventually([&] { return !store.trouble().empty(); }));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_TRUE(comes_to_disk(store, folder.file(), 3)) << lines.text();
    EXPECT_TRUE(eventually([&] { return store.trouble().empty(); }));
  }
  EXPECT_EQ(ask(folder.file(), "SELECT count(*) FROM samples"), 10'000);
  EXPECT_TRUE(folder.set_aside().empty()) << lines.text();
}

}  // namespace
}  // namespace har::store
