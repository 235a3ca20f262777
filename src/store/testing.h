// What the tests of this folder share: a folder of their own, rows, and waiting for the disk.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "net/clock.h"
#include "net/fd.h"
#include "store/sqlite.h"
#include "store/store.h"

namespace har::store {

class Folder {
 public:
  explicit Folder(const std::filesystem::path& in = std::filesystem::temp_directory_path()) {
    std::string pattern = (in / "har-store-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const std::string& name = "har.db") const { return path_ / name; }
  // Without the companions (-wal, -shm).
  std::vector<std::string> set_aside() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const std::string name = entry.path().filename();
      if (name.find(".corrupt-") != std::string::npos && !name.ends_with("-wal") && !name.ends_with("-shm")) {
        found.push_back(entry.path());
      }
    }
    return found;
  }

 private:
  std::filesystem::path path_;
};

// A log whose lines can be read again.
class Lines {
 public:
  Lines() : fd_(memfd_create("log", MFD_CLOEXEC)), log_("", LogLevel::kDebug, fd_.get()) {}
  const Log& log() const { return log_; }
  std::string text() const {
    std::string out(static_cast<std::size_t>(lseek(fd_.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(fd_.get(), out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
    return out;
  }
  int count(const std::string& what) const {
    const std::string all = text();
    int n = 0;
    for (std::size_t at = all.find(what); at != std::string::npos; at = all.find(what, at + 1)) ++n;
    return n;
  }

 private:
  net::Fd fd_;
  Log log_;
};

inline bool eventually(const std::function<bool()>& holds, Duration within = std::chrono::seconds(20)) {
  const Instant end = net::now() + within;
  while (!holds()) {
    if (net::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

// One value that another program would read; -1 when it cannot.
inline std::int64_t ask(const std::string& file, const std::string& select) {
  try {
    SQLite::Database database(file, SQLite::OPEN_READONLY, 2'000);
    return database.execAndGet(select).getInt64();
  } catch (const SQLite::Exception&) {
    return -1;
  }
}
inline std::string ask_text(const std::string& file, const std::string& select) {
  try {
    SQLite::Database database(file, SQLite::OPEN_READONLY, 2'000);
    return database.execAndGet(select).getString();
  } catch (const SQLite::Exception& error) {
    return std::string("error: ") + error.what();
  }
}

inline std::string slurp(const std::string& file) {
  std::ostringstream out;
  out << std::ifstream(file, std::ios::binary).rdbuf();
  return out.str();
}

inline const Duration kPatience = std::chrono::seconds(20);  // where the test is not about it: this machine may be busy

inline EndpointRow endpoint(const std::string& name, const std::string& candidate, const std::string& address,
                            std::uint64_t successes = 1) {
  EndpointRow row;
  row.report.name = name;
  row.report.candidate = candidate;
  row.report.address = IpAddress::parse(address).value();
  row.report.state = health::State::kUp;
  row.report.successes = successes;
  row.report.last_check = row.report.last_success = net::now();
  row.report.last_status = "ok";
  row.report.connect_time = std::chrono::microseconds(1234);
  row.report.response_time = std::chrono::microseconds(5678);
  return row;
}

inline EventRow event(const std::string& name, const std::string& reason, WallTime time = net::wall_now()) {
  EventRow row{time, {}};
  row.event.name = name;
  row.event.candidate = "b";
  row.event.address = IpAddress::parse("192.0.2.2");
  row.event.old_value = "up";
  row.event.new_value = "down";
  row.event.reason = reason;
  return row;
}

inline Sample sample(const std::string& name, WallTime time, health::Outcome outcome = health::Outcome::kOk) {
  return {time,
          name,
          "b",
          IpAddress::parse("192.0.2.2").value(),
          std::chrono::microseconds(100),
          std::chrono::microseconds(200),
          outcome};
}

inline void put_one(Store& store, std::uint64_t successes) {
  store.put_state({{"a.example", successes}}, {endpoint("a.example", "b", "192.0.2.2", successes)}, Moment::current());
}

// Puts a state with this count and waits until another program would read it.
inline bool comes_to_disk(Store& store, const std::string& file, std::uint64_t successes,
                          Duration within = std::chrono::seconds(20)) {
  put_one(store, successes);
  return eventually(
      [&] { return ask(file, "SELECT successes FROM candidates") == static_cast<std::int64_t>(successes); }, within);
}

// Until the store has seen for itself what it wrote last, and any write after this has a later time (the kernel's
// clock of files goes in steps of 10 ms at most): another's writing before that may pass for its own.
inline void settle(Store& store) {
  std::promise<void> seen;
  store.read_history(HistoryQuery{}, [&](const History&) { seen.set_value(); });
  seen.get_future().wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

// A shell is another process: closing the file there does not drop the locks that we hold on it here.
inline void shell(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

inline std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

// A file as a daemon would leave it, of some fifty pages, without companions. No endpoint has had a success yet: what a
// test puts is known from what was there.
inline void make_file(const std::string& file) {
  const Lines lines;
  Store store(file, lines.log(), kPatience);
  for (int i = 0; i < 300; ++i) {
    store.put_events({event("a.example", "reason " + std::to_string(i))});
    store.put_samples({sample("a.example", net::wall_now()), sample("a.example", net::wall_now())});
  }
  std::vector<EndpointRow> rows;
  for (int i = 0; i < 200; ++i) rows.push_back(endpoint("a.example", "b", "192.0.2." + std::to_string(i), 0));
  store.put_state({{"a.example", 1}}, rows, Moment::current());
}

}  // namespace har::store
