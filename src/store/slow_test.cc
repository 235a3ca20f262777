// A disk that takes its time for each fsync: nobody waits for it. It is a VFS of sqlite's under the store.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>

#include "store/testing.h"

namespace har::store {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSync(900);

std::atomic<int> in_sync{0}, syncs{0};
sqlite3_vfs slow_vfs;
sqlite3_vfs* real_vfs = nullptr;
sqlite3_io_methods slow_methods;
const sqlite3_io_methods* real_methods = nullptr;

int slow_sync(sqlite3_file* file, int flags) {
  ++in_sync;
  ++syncs;
  std::this_thread::sleep_for(kSync);
  const int result = real_methods->xSync(file, flags);
  --in_sync;
  return result;
}

int slow_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  const int result = real_vfs->xOpen(real_vfs, name, file, flags, out_flags);
  if (result != SQLITE_OK || file->pMethods == nullptr) return result;
  if (real_methods == nullptr) {
    real_methods = file->pMethods;
    slow_methods = *real_methods;
    slow_methods.xSync = slow_sync;
  }
  if (file->pMethods == real_methods) file->pMethods = &slow_methods;
  return result;
}

class StoreSlow : public testing::Test {
 protected:
  void SetUp() override {
    real_vfs = sqlite3_vfs_find(nullptr);
    slow_vfs = *real_vfs;
    slow_vfs.zName = "slow";
    slow_vfs.xOpen = slow_open;
    sqlite3_vfs_register(&slow_vfs, 1);
  }
  void TearDown() override {
    EXPECT_TRUE(eventually([] { return in_sync == 0; }));
    sqlite3_vfs_register(real_vfs, 1);
  }
  static Duration time_of(const std::function<void()>& act) {
    const Instant start = net::now();
    act();
    return net::now() - start;
  }

  const Folder folder_;
  // An abandoned store's thread goes on for a while after its test, and may still log.
  static const Lines& lines() {
    static const Lines* const kept = new Lines;
    return *kept;
  }
};

TEST_F(StoreSlow, AnFsyncOfSecondsDelaysNeitherTheStartNorACallNorTheEnd) {
  std::optional<Store> store;
  EXPECT_LT(time_of([&] { store.emplace(folder_.file(), lines().log(), milliseconds(100)); }), milliseconds(500));
  EXPECT_TRUE(store->loaded().endpoints.empty());
  EXPECT_LT(time_of([&] {
              for (int i = 0; i < 100; ++i) {
                put_one(*store, 5);
                store->put_events({event("a.example", "slow")});
              }
            }),
            milliseconds(200));
  EXPECT_TRUE(eventually([&] { return ask(folder_.file(), "SELECT successes FROM candidates") == 5; }));
  EXPECT_GE(syncs, 1);
  EXPECT_EQ(ask(folder_.file(), "SELECT count(*) FROM events"), 100);
  std::filesystem::remove(folder_.file());  // a new one is made, with all its fsyncs
  const int before = syncs;
  ASSERT_TRUE(eventually([&] { return syncs > before && in_sync > 0; }));
  EXPECT_LT(time_of([&] { store.reset(); }), milliseconds(500));
  EXPECT_EQ(lines().count("event=store_abandoned"), 1) << lines().text();
}

}  // namespace
}  // namespace har::store
