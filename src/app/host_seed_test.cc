#include "app/host_seed.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

namespace har::app {
namespace {

class HostSeed : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }

 private:
  std::string folder_ = testing::TempDir() + "har-host-seed-XXXXXX";
};

TEST_F(HostSeed, HostsThatShareAMachineIdAreSeveralAndSoAreThoseThatShareAName) {
  const std::string one = file("one", "8a1b\n"), two = file("two", "8a1bc\n");
  const std::set<std::string> all = {host_seed({one}, "a"), host_seed({one}, "b"), host_seed({two}, "a"),
                                     host_seed({one}, "ca"), host_seed({}, "a")};
  EXPECT_EQ(all.size(), 5U);
  EXPECT_EQ(host_seed({one}, "a"), host_seed({one}, "a"));
}

TEST_F(HostSeed, WhatIsMissingEmptyOrUninitializedIsNoMachineId) {
  const std::string id = file("id", "8a1b\n");
  for (const std::string& none : {file("empty", ""), file("line", "\n"), file("image", "uninitialized\n"),
                                  std::string("/nonexistent/machine-id")}) {
    EXPECT_EQ(host_seed({none, id}, "a"), host_seed({id}, "a")) << none;
    EXPECT_EQ(host_seed({none}, "a"), host_seed({}, "a")) << none;
  }
}

TEST_F(HostSeed, TheHostsOwnNameIsInIt) {
  char name[256] = {};
  ASSERT_EQ(gethostname(name, sizeof name - 1), 0);
  EXPECT_TRUE(host_seed().ends_with(std::string("\n") + name));
}

}  // namespace
}  // namespace har::app
