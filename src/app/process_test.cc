#include "app/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace har::app {
namespace {

// The limit as it was, when the test is over.
class Process : public testing::Test {
 protected:
  Process() { getrlimit(RLIMIT_NOFILE, &before_); }
  ~Process() override { setrlimit(RLIMIT_NOFILE, &before_); }

  static rlim_t soft_limit() {
    rlimit now{};
    getrlimit(RLIMIT_NOFILE, &now);
    return now.rlim_cur;
  }
  void set_soft_limit(rlim_t most) const {
    const rlimit wanted{most, before_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &wanted), 0);
  }

  rlimit before_{};
};

TEST_F(Process, RaisesItsLimitOfOpenFilesAsFarAsItMay) {
  set_soft_limit(64);
  raise_open_files_limit();
  EXPECT_EQ(soft_limit(), before_.rlim_max);
}

TEST_F(Process, KnowsWhetherMoreFilesMayBeOpened) {
  const net::Fd lowest_free(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(lowest_free);
  // Numbers below it are all in use, those above it perhaps: so many can be had at most.
  set_soft_limit(static_cast<rlim_t>(lowest_free.get()) + 1);
  EXPECT_TRUE(try_to_open(0));
  const auto tried = try_to_open(1);
  ASSERT_FALSE(tried);
  EXPECT_EQ(tried.error().message, "1 more open files are needed: Too many open files (see RLIMIT_NOFILE)");
  set_soft_limit(before_.rlim_cur);
  for (int times = 0; times < 2; ++times) EXPECT_TRUE(try_to_open(4));
}

}  // namespace
}  // namespace har::app
