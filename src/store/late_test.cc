// A file that can be read only after the start: what stands in it is told then, and not written over unread.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <mutex>
#include <optional>

#include "store/desk.h"
#include "store/testing.h"

namespace har::store {
namespace {

using std::chrono::milliseconds;

// The control thread's end of it.
class Late {
 public:
  std::function<void(Loaded)> receiver() {
    return [this](Loaded loaded) {
      const std::lock_guard lock(mutex_);
      given_.push_back(std::move(loaded));
    };
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return given_.size();
  }
  Loaded newest() const {
    const std::lock_guard lock(mutex_);
    return given_.empty() ? Loaded{} : given_.back();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Loaded> given_;
};

// One endpoint, drained, with 1,000 successes.
void make_drained(const std::string& file) {
  const Lines lines;
  Store store(file, lines.log(), kPatience);
  EndpointRow row = endpoint("a.example", "b", "192.0.2.2", 1'000);
  row.report.drained = true;
  store.put_state({{"a.example", 7}}, {row}, Moment::current());
}

bool is_drained(const std::string& file) { return ask_text(file, "SELECT admin FROM candidates") == "drained"; }

class Lock {
 public:
  explicit Lock(const std::string& file) : other_(std::in_place, file, SQLite::OPEN_READWRITE) {
    other_->exec("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO events SELECT 1, 'x', 0, 0, 0, 0, 0, 0");
  }
  void release() {
    other_->exec("ROLLBACK");
    other_.reset();
  }

 private:
  std::optional<SQLite::Database> other_;
};

// The store's thread has done all that it could do just now.
void let_it_try(Store& store) {
  for (int i = 0; i < 3; ++i) {
    auto read = std::make_shared<std::atomic<bool>>(false);
    store.read_history({}, [read](const History&) { *read = true; });
    ASSERT_TRUE(eventually([&] { return read->load(); }));
  }
}

TEST(StoreLate, WhatWasLockedAtTheStartIsToldAndNotWrittenOverUnread) {
  const Folder folder;
  const Lines lines;
  Late late;
  make_drained(folder.file());
  Lock lock(folder.file());
  Store store(folder.file(), lines.log(), milliseconds(100), late.receiver());
  EXPECT_TRUE(store.loaded().endpoints.empty());
  put_one(store, 5);  // knows of no drained one
  lock.release();
  ASSERT_TRUE(eventually([&] { return late.count() == 1; })) << lines.text();
  ASSERT_EQ(late.newest().endpoints.size(), 1U);
  EXPECT_TRUE(late.newest().endpoints[0].drained);
  EXPECT_EQ(late.newest().endpoints[0].successes, 1'000U);
  EXPECT_EQ(late.newest().names.at(0).queries, 7U);
  let_it_try(store);
  EXPECT_TRUE(is_drained(folder.file())) << "written over before it was taken";
  store.late_is_taken();
  store.put_events({event("a.example", "after")});
  EXPECT_TRUE(eventually([&] { return ask(folder.file(), "SELECT count(*) FROM events") == 1; }));
  EXPECT_TRUE(is_drained(folder.file())) << "what was put in ignorance was written";
  EXPECT_TRUE(comes_to_disk(store, folder.file(), 1'005));  // as its owner says it now
  EXPECT_EQ(late.count(), 1U);
}

TEST(StoreLate, AnEndBeforeItIsTakenWritesNothingOverIt) {
  const Folder folder;
  const Lines lines;
  Late late;
  make_drained(folder.file());
  {
    Lock lock(folder.file());
    Store store(folder.file(), lines.log(), milliseconds(100), late.receiver());
    put_one(store, 5);
    lock.release();
    ASSERT_TRUE(eventually([&] { return late.count() == 1; }));
  }
  EXPECT_TRUE(is_drained(folder.file()));
  {
    // Nor does an end that comes while it is still locked.
    Lock lock(folder.file());
    {
      Store store(folder.file(), lines.log(), milliseconds(100), late.receiver());
      put_one(store, 5);
    }
    lock.release();
  }
  EXPECT_TRUE(is_drained(folder.file()));
}

TEST(StoreLate, NothingIsWrittenBeforeTheLastOfSeveralIsTaken) {
  Desk desk;
  Late late;
  EXPECT_FALSE(desk.wait_loaded(Duration::zero(), late.receiver()));
  desk.ask_for_all();
  desk.set_loaded({{{"a.example", 7}}, {}});
  const auto put = [&desk] {
    desk.put([](Batch& batch) { batch.add_state(StateRows::of({{"a.example", 1}}, {}, {})); });
  };
  put();
  desk.late_is_taken();
  put();
  EXPECT_TRUE(desk.take().is_empty());
  desk.late_is_taken();
  EXPECT_TRUE(desk.take().is_empty()) << "it was put in ignorance";
  put();
  EXPECT_FALSE(desk.take().is_empty());
  EXPECT_EQ(late.count(), 2U);
}

TEST(StoreLate, AFileThatAppearsLaterIsToldToo) {
  const Folder folder;
  const Lines lines;
  Late late;
  make_drained(folder.file("kept.db"));
  // Its disk is not there yet.
  std::filesystem::create_symlink(folder.file("disk") + "/har.db", folder.file());
  Store store(folder.file(), lines.log(), kPatience, late.receiver());
  EXPECT_TRUE(store.loaded().endpoints.empty());
  put_one(store, 5);
  EXPECT_FALSE(store.trouble().empty());
  mkdir(folder.file("disk.new").c_str(), 0755);
  std::filesystem::rename(folder.file("kept.db"), folder.file("disk.new") + "/har.db");
  std::filesystem::rename(folder.file("disk.new"), folder.file("disk"));
  ASSERT_TRUE(eventually([&] { return late.count() == 1; })) << lines.text();
  EXPECT_TRUE(late.newest().endpoints.at(0).drained);
  store.late_is_taken();
  EXPECT_TRUE(comes_to_disk(store, folder.file(), 6)) << lines.text();
}

TEST(StoreLate, ANewFileInPlaceOfADamagedOneIsToldAll) {
  const Folder folder;
  const Lines lines;
  Late late;
  Store store(folder.file(), lines.log(), kPatience, late.receiver());
  store.put_state({{"z.example", 1}}, {endpoint("z.example", "b", "192.0.2.9")}, Moment::current());
  ASSERT_TRUE(eventually([&] { return ask(folder.file(), "SELECT count(*) FROM candidates") == 1; }));
  for (const char* which : {"", "-wal"}) {
    shell("dd if=/dev/urandom of=" + folder.file() + which + " bs=4096 count=30 conv=notrunc status=none");
  }
  ASSERT_TRUE(eventually([&] { return late.count() == 1; })) << lines.text();
  EXPECT_TRUE(late.newest().endpoints.empty() && late.newest().names.empty());
  EXPECT_EQ(lines.count("event=store_set_aside"), 1) << lines.text();
  store.late_is_taken();
  EXPECT_TRUE(comes_to_disk(store, folder.file(), 2)) << lines.text();
}

}  // namespace
}  // namespace har::store
