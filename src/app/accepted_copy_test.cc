#include "app/accepted_copy.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "app/config_files.h"
#include "net/fd.h"

namespace har::app {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class AcceptedCopyTest : public testing::Test {
 protected:
  AcceptedCopyTest() {
    std::string pattern = (fs::temp_directory_path() / "har-copy-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~AcceptedCopyTest() override { fs::remove_all(folder_); }

  static Bundle bundle(int n) {
    return {"/etc/har/har.conf", {{"/etc/har/har.conf", "# " + std::to_string(n)}}, {}, {}};
  }

  fs::path folder_;
  Log log_{"", LogLevel::kError};
};

TEST_F(AcceptedCopyTest, OfManyReloadsInARowTheLastOneStays) {
  const std::string data_file = folder_ / "har.db";
  AcceptedCopy copy(data_file, log_);
  for (int n = 0; n < 50; ++n) copy.keep(bundle(n));
  ASSERT_TRUE(copy.settle(seconds(10)));
  const auto kept = last_accepted(data_file, "/etc/har/har.conf");
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->bundle.files.at(0).text, "# 49");
  EXPECT_FALSE(fs::exists(accepted_copy_path(data_file) + ".new"));
}

TEST_F(AcceptedCopyTest, ADiskThatDoesNotAnswerIsNotWaitedFor) {
  const std::string data_file = folder_ / "har.db";
  const std::string path = accepted_copy_path(data_file) + ".new";
  // Writing the new copy hangs here as it would on a dead network disk.
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  AcceptedCopy copy(data_file, log_);
  copy.keep(bundle(1));
  copy.keep(bundle(2));
  EXPECT_FALSE(copy.settle(std::chrono::milliseconds(50)));
  // The disk comes back.
  fs::rename(path, folder_ / "fifo");
  const net::Fd reader(open((folder_ / "fifo").c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  EXPECT_TRUE(copy.settle(seconds(10)));
  EXPECT_EQ(last_accepted(data_file, "/etc/har/har.conf")->bundle.files.at(0).text, "# 2");
}

}  // namespace
}  // namespace har::app
