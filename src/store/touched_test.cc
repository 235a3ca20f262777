// What others do to the file while it is open and all of it is in the cache: it is noticed, and the file is whole again
// before anybody needs it.
#include <gtest/gtest.h>

#include <memory>

#include "store/testing.h"

namespace har::store {
namespace {

void damage(const std::string& file, std::size_t page, const std::string& source) {
  shell("dd if=" + source + " of=" + file + " bs=4096 count=1 conv=notrunc status=none seek=" + std::to_string(page));
}

// A store at work on a file that somebody writes to.
struct Bench {
  Folder folder;
  Lines lines;
  std::unique_ptr<Store> store;

  explicit Bench(const std::string& content, Duration check_every = std::chrono::minutes(10)) {
    std::ofstream(file(), std::ios::binary) << content;
    store = std::make_unique<Store>(file(), lines.log(), kPatience, nullptr, nullptr, check_every);
  }
  std::string file() const { return folder.file(); }
  bool is_whole_with(int successes) const {
    return ask(file(), "SELECT successes FROM candidates") == successes &&
           ask_text(file(), "PRAGMA integrity_check") == "ok";
  }
  std::string told() const {
    return lines.text() + ask_text(file(), "SELECT successes FROM candidates") + " " +
           ask_text(file(), "PRAGMA integrity_check");
  }
};

TEST(StoreTouched, WhicheverPageIsDamagedUnderARunningStoreItIsFound) {
  const Folder folder;
  make_file(folder.file());
  const std::string whole = slurp(folder.file());
  const std::string garbage = folder.file("garbage");
  std::ofstream(garbage, std::ios::binary) << noise(4'096, 1);
  const std::size_t pages = whole.size() / 4'096;
  ASSERT_GT(pages, 15U);
  std::vector<std::unique_ptr<Bench>> benches;  // all at once: each takes its time
  for (std::size_t page = 0; page < pages; ++page) benches.push_back(std::make_unique<Bench>(whole));
  for (const auto& bench : benches) put_one(*bench->store, 1);
  std::size_t set_aside = 0;
  for (std::size_t page = 0; page < pages; ++page) {
    Bench& bench = *benches[page];
    ASSERT_TRUE(eventually([&] { return bench.is_whole_with(1); })) << page << "\n" << bench.told();
    damage(bench.file(), page, garbage);
    put_one(*bench.store, 2);
  }
  for (std::size_t page = 0; page < pages; ++page) {
    EXPECT_TRUE(eventually([&] { return benches[page]->is_whole_with(2); })) << page << "\n" << benches[page]->told();
    set_aside += benches[page]->folder.set_aside().size();
  }
  EXPECT_GT(set_aside, pages / 2);  // the rest hold nothing, or stand in the log as well
}

TEST(StoreTouched, AnEmptiedFileAndAnEmptiedOrDamagedLogAreFound) {
  const Folder folder;
  make_file(folder.file());
  const std::string whole = slurp(folder.file());
  const std::vector<std::string> deeds = {"truncate -s 0 F",
                                          "truncate -s 0 F-wal",
                                          "head -c 8000 /dev/urandom | dd of=F-wal conv=notrunc status=none",
                                          "head -c 5000 /dev/zero | dd of=F conv=notrunc status=none",
                                          "truncate -s 5000 F",
                                          "truncate -s 30 F-wal"};
  std::vector<std::unique_ptr<Bench>> benches;
  for (const std::string& deed : deeds) {
    Bench& bench = *benches.emplace_back(std::make_unique<Bench>(whole));
    ASSERT_TRUE(comes_to_disk(*bench.store, bench.file(), 1));
    settle(*bench.store);
    shell("f=" + bench.file() + "; " + [&] {
      std::string command = deed;
      for (auto at = command.find(" F"); at != std::string::npos; at = command.find(" F", at)) {
        command.replace(at + 1, 1, "$f");
      }
      for (auto at = command.find("=F"); at != std::string::npos; at = command.find("=F", at)) {
        command.replace(at + 1, 1, "$f");
      }
      return command;
    }());
    put_one(*bench.store, 2);
  }
  for (std::size_t i = 0; i < deeds.size(); ++i) {
    EXPECT_TRUE(eventually([&] { return benches[i]->is_whole_with(2); })) << deeds[i] << "\n" << benches[i]->told();
  }
}

// As if it were written in the very moment of a write of ours.
TEST(StoreTouched, DamageThatLeavesNoTraceInSizeAndTimeIsFoundByTheRoutineCheck) {
  const Folder folder;
  make_file(folder.file());
  Bench bench(slurp(folder.file()), std::chrono::milliseconds(100));
  ASSERT_TRUE(comes_to_disk(*bench.store, bench.file(), 1));
  settle(*bench.store);
  shell(
      "f=" + bench.file() +
      "-wal; touch -r $f $f.time; head -c 8000 /dev/urandom | dd of=$f conv=notrunc status=none; touch -r $f.time $f");
  EXPECT_TRUE(eventually([&] { return ask_text(bench.file(), "PRAGMA integrity_check") == "ok"; })) << bench.told();
  EXPECT_TRUE(comes_to_disk(*bench.store, bench.file(), 2)) << bench.told();
}

TEST(StoreTouched, AnotherProgramsHonestWritingIsNoDamage) {
  const Folder folder;
  make_file(folder.file());
  Bench bench(slurp(folder.file()));
  ASSERT_TRUE(comes_to_disk(*bench.store, bench.file(), 1));
  for (int i = 0; i < 5; ++i) {
    SQLite::Database(bench.file(), SQLite::OPEN_READWRITE, 2'000)
        .exec("INSERT INTO names VALUES ('theirs" + std::to_string(i) + "', 5)");
    ASSERT_TRUE(comes_to_disk(*bench.store, bench.file(), static_cast<std::uint64_t>(i) + 2));
  }
  EXPECT_EQ(ask(bench.file(), "SELECT count(*) FROM names"), 6);
  EXPECT_EQ(bench.lines.text(), "");
}

TEST(StoreTouched, ADeletedIndexOfTheLogIsMadeAgain) {
  const Folder folder;
  make_file(folder.file());
  Bench bench(slurp(folder.file()));
  ASSERT_TRUE(comes_to_disk(*bench.store, bench.file(), 1));
  std::filesystem::remove(bench.file() + "-shm");
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(bench.file() + "-shm"); }));
  EXPECT_TRUE(comes_to_disk(*bench.store, bench.file(), 2)) << bench.told();
}

}  // namespace
}  // namespace har::store
