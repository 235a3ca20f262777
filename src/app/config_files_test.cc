#include "app/config_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace har::app {
namespace {

namespace fs = std::filesystem;

class ConfigFilesTest : public testing::Test {
 protected:
  ConfigFilesTest() {
    std::string pattern = (fs::temp_directory_path() / "har-config-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~ConfigFilesTest() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  fs::path folder_;
};

constexpr const char* kName = "name a.example { candidate 192.0.2.1 { check_method = tcp check_port = 80 } }\n";

TEST_F(ConfigFilesTest, AMissingFileIsAMistakeWithItsName) {
  const auto loaded = load_from_disk(folder_ / "absent");
  EXPECT_FALSE(loaded.config);
  ASSERT_EQ(loaded.mistakes.size(), 1u);
  EXPECT_NE(loaded.mistakes[0].to_string().find("No such file"), std::string::npos) << loaded.mistakes[0].to_string();
}

// Opening it for reading waited for a writer, and the keeper killed the checker for its silence.
TEST_F(ConfigFilesTest, AFifoIsNoConfigurationAndNobodyWaitsForItsWriter) {
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const auto loaded = load_from_disk(fifo);
  EXPECT_FALSE(loaded.config);
  ASSERT_EQ(loaded.mistakes.size(), 1U);
  EXPECT_NE(loaded.mistakes[0].what.find("not a regular file"), std::string::npos);
}

TEST_F(ConfigFilesTest, WhoChecksMayGiveAPipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], kName, std::strlen(kName)), static_cast<ssize_t>(std::strlen(kName)));
  close(ends[1]);
  const std::string path = "/dev/fd/" + std::to_string(ends[0]);
  EXPECT_EQ(load_from_disk(path, {}, Waits::kForItsWriter).mistakes.size(), 0U);
  close(ends[0]);
  EXPECT_FALSE(load_from_disk(folder_, {}, Waits::kForItsWriter).config);
}

TEST_F(ConfigFilesTest, AFolderIsNoConfiguration) { EXPECT_FALSE(load_from_disk(folder_).config); }

TEST_F(ConfigFilesTest, AnEmptyFileIsAFileBeingWrittenAndNoConfiguration) {
  const auto empty = load_from_disk(write("har.conf", " \n"));
  EXPECT_FALSE(empty.config);
  ASSERT_EQ(empty.mistakes.size(), 1u);
  EXPECT_NE(empty.mistakes[0].to_string().find("har.conf: the file is empty"), std::string::npos);
  EXPECT_TRUE(load_from_disk(write("har.conf", "# all defaults\n")).config);
}

TEST_F(ConfigFilesTest, AMissingCaFileIsAMistakeAtItsCandidate) {
  const auto path = write("har.conf",
                          "name a.example {\n candidate b.example {\n  check_method = https\n"
                          "  check_ca_file = \"/nonexistent/ca.pem\"\n }\n}\n");
  const auto loaded = load_from_disk(path);
  EXPECT_FALSE(loaded.config);
  ASSERT_EQ(loaded.mistakes.size(), 1u);
  EXPECT_EQ(loaded.mistakes[0].line, 2);
}

TEST_F(ConfigFilesTest, TheKeptCopyLoadsAfterTheFilesAreGone) {
  write("more.conf", kName);
  const auto path = write("har.conf", "include(\"" + (folder_ / "more.conf").string() + "\")\n");
  auto loaded = load_from_disk(path);
  ASSERT_TRUE(loaded.config) << loaded.mistakes.at(0).to_string();
  const std::string data_file = folder_ / "har.db";
  ASSERT_TRUE(keep_accepted_copy(data_file, Bundle::take(path, loaded)));
  fs::remove(path);
  fs::remove(folder_ / "more.conf");
  const auto copy = last_accepted(data_file, path);
  ASSERT_TRUE(copy);
  ASSERT_TRUE(copy->bundle.load().config);
  EXPECT_EQ(copy->bundle.load().config->names.at(0).host, "a.example");
}

// What lies there may have been put there by whoever the daemon runs as: its owner goes with it, and a link is none.
TEST_F(ConfigFilesTest, ACopyTellsWhoseItIsAndALinkIsNoCopy) {
  const auto path = write("har.conf", kName);
  auto loaded = load_from_disk(path);
  const std::string data_file = folder_ / "har.db";
  ASSERT_TRUE(keep_accepted_copy(data_file, Bundle::take(path, loaded)));
  ASSERT_TRUE(last_accepted(data_file, path));
  EXPECT_EQ(last_accepted(data_file, path)->owner, geteuid());
  const std::string copy = accepted_copy_path(data_file);
  fs::rename(copy, folder_ / "elsewhere");
  fs::create_symlink(folder_ / "elsewhere", copy);
  EXPECT_FALSE(last_accepted(data_file, path));
}

TEST_F(ConfigFilesTest, TheCopyOfAnotherFileDoesNotRunInItsPlace) {
  const auto path = write("har.conf", kName);
  auto loaded = load_from_disk(path);
  ASSERT_TRUE(keep_accepted_copy(folder_ / "har.db", Bundle::take(path, loaded)));
  EXPECT_FALSE(last_accepted(folder_ / "har.db", folder_ / "other.conf"));
}

}  // namespace
}  // namespace har::app
