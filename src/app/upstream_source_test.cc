#include "app/upstream_source.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace har::app {
namespace {

namespace fs = std::filesystem;

class UpstreamSourceTest : public testing::Test {
 protected:
  UpstreamSourceTest() {
    std::string pattern = (fs::temp_directory_path() / "har-resolv-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    paths_ = {folder_ / "resolv.conf", folder_ / "behind" / "resolv.conf"};
    fs::create_directory(folder_ / "behind");
  }
  ~UpstreamSourceTest() override { fs::remove_all(folder_); }

  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  std::unique_ptr<UpstreamSource> make() {
    return std::make_unique<UpstreamSource>(
        loop_, log_, paths_, [](const IpPort& s) { return s.ip.to_string() == "127.0.0.1" && s.port == 53; },
        [this](const std::vector<IpPort>& list) {
          changes_.push_back(text(list));
          loop_.stop();
        });
  }
  static std::string text(const std::vector<IpPort>& list) {
    std::string out;
    for (const auto& server : list) out += server.ip.to_string() + " ";
    return out;
  }
  // Runs the loop until the list changes; the limit is for a test that fails.
  void wait_for_change() {
    net::Timer limit(loop_, [this] { loop_.stop(); });
    limit.set(std::chrono::seconds(8));
    loop_.run();
  }

  fs::path folder_;
  UpstreamSource::Paths paths_;
  net::Loop loop_;
  Log log_{"", LogLevel::kError};
  std::vector<std::string> changes_;
};

TEST_F(UpstreamSourceTest, LeavesUsOut) {
  write(paths_.resolv_conf, "nameserver 127.0.0.1\nnameserver 192.0.2.1\n");
  EXPECT_EQ(text(make()->upstreams()), "192.0.2.1 ");
}

TEST_F(UpstreamSourceTest, AFileThatNamesOnlyUsIsNoReasonToFail) {
  write(paths_.resolv_conf, "nameserver 127.0.0.1\n");
  EXPECT_TRUE(make()->upstreams().empty());
}

TEST_F(UpstreamSourceTest, LooksBehindTheLocalStub) {
  write(paths_.resolv_conf, "nameserver 127.0.0.53\n");
  write(paths_.behind_stub, "nameserver 192.0.2.7\n");
  EXPECT_EQ(text(make()->upstreams()), "192.0.2.7 ");
}

TEST_F(UpstreamSourceTest, KeepsTheStubWhenNothingIsKnownBehindIt) {
  write(paths_.resolv_conf, "nameserver 127.0.0.53\n");
  EXPECT_EQ(text(make()->upstreams()), "127.0.0.53 ");
}

TEST_F(UpstreamSourceTest, FollowsTheFileAndKeepsTheLastListWhileItIsEmpty) {
  write(paths_.resolv_conf, "nameserver 192.0.2.1\n");
  const auto source = make();
  write(paths_.resolv_conf, "");
  write(folder_ / "new", "nameserver 192.0.2.2\n");
  fs::rename(folder_ / "new", paths_.resolv_conf);
  wait_for_change();
  EXPECT_EQ(changes_, std::vector<std::string>{"192.0.2.2 "});
}

TEST_F(UpstreamSourceTest, FollowsASymlinkToAnotherTarget) {
  write(folder_ / "a", "nameserver 192.0.2.1\n");
  fs::create_directory(folder_ / "elsewhere");
  write(folder_ / "elsewhere" / "b", "nameserver 192.0.2.2\n");
  fs::create_symlink(folder_ / "a", paths_.resolv_conf);
  const auto source = make();
  fs::create_symlink(folder_ / "elsewhere" / "b", folder_ / "link");
  fs::rename(folder_ / "link", paths_.resolv_conf);
  wait_for_change();
  write(folder_ / "elsewhere" / "b", "nameserver 192.0.2.3\n");
  wait_for_change();
  EXPECT_EQ(changes_, (std::vector<std::string>{"192.0.2.2 ", "192.0.2.3 "}));
}

IpPort at(const char* ip, std::uint16_t port = 53) { return {*IpAddress::parse(ip), port}; }

TEST(IsAmong, WhereAllAddressesAreListenedToEveryOneOfThisHostIsUs) {
  const std::vector<IpPort> all{at("0.0.0.0")};
  EXPECT_TRUE(is_among(all, at("127.0.0.1")));
  EXPECT_TRUE(is_among(all, at("127.9.9.9")));
  EXPECT_FALSE(is_among(all, at("127.0.0.1", 54)));
  EXPECT_FALSE(is_among(all, at("192.0.2.1")));  // RFC 5737: no host has it
  EXPECT_FALSE(is_among(all, at("::1")));
  EXPECT_TRUE(is_among({at("::")}, at("::1")));
  EXPECT_TRUE(is_among({at("192.0.2.1")}, at("192.0.2.1")));
  EXPECT_FALSE(is_among({at("127.0.0.1")}, at("127.0.0.2")));
}

}  // namespace
}  // namespace har::app
