#include "config/load.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

#include "config/test_text.h"

namespace har::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Of this process: what else runs on the machine does not count.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

constexpr const char* kOriginal =
    "nameservers = { 192.168.11.1 }\n"
    "dns_bind_interfaces = { 127.0.0.1, ::1 }\n"
    "name www.example.com {\n"
    "\tcheck_frequency = 30\n"
    "        selection_method = group_rtt_rr\n"
    "\tfailure_mode = all\n"
    "\tcandidate www1.east.example.com {\n"
    "\t\tcheck_address = \"http://www1.east.example.com/\"\n"
    "\t}\n"
    "\tcandidate www1.west.example.com {\n"
    "\t\tcheck_address = \"http://www1.west.example.com/\"\n"
    "\t}\n"
    "}\n";

TEST(Load, TakesTheOriginalsExampleAsItStands) {
  const auto loaded = load_text(kOriginal);
  ASSERT_EQ(said(loaded.mistakes), "");
  EXPECT_EQ(said(loaded.warnings), "");
  const Config& config = *loaded.config;
  ASSERT_EQ(config.nameservers.size(), 1u);
  EXPECT_EQ(config.nameservers[0].to_string(), "192.168.11.1#53");
  ASSERT_EQ(config.dns_bind_interfaces.size(), 2u);
  EXPECT_EQ(config.dns_bind_interfaces[1].to_string(), "::1");
  ASSERT_EQ(config.names.size(), 1u);
  const Name& name = config.names[0];
  EXPECT_EQ(name.host, "www.example.com");
  EXPECT_EQ(name.line, 3);
  EXPECT_EQ(name.selection_method, SelectionMethod::kGroupRttRr);
  EXPECT_EQ(name.group_rtt_threshold, std::nullopt);
  EXPECT_EQ(name.failure_mode, FailureMode::kAll);
  ASSERT_EQ(name.candidates.size(), 2u);
  EXPECT_EQ(name.candidates[1].title, "www1.west.example.com");
  EXPECT_EQ(name.candidates[1].line, 10);
  EXPECT_EQ(name.candidates[1].check->host, "www1.west.example.com");
  EXPECT_EQ(name.candidates[1].check->frequency, std::chrono::seconds(30));
  EXPECT_EQ(name.candidates[1].check->frequency_changing, std::chrono::milliseconds(7500));
}

TEST(Load, ReportsTenDifferentMistakesAtTheirLinesInOneRun) {
  const auto loaded = load_text(
      "nameservers = { 192.0.2.1, dns.example.com }\n"  // 1
      "dns_bind_interfaces = { eth0 }\n"                // 2
      "dns_listen_prot = 53\n"                          // 3
      "workers = many\n"                                // 4
      "name www.example.com {\n"                        // 5
      "  check_frequancy = 3\n"                         // 6
      "  selection_method = fastest\n"                  // 7
      "  answer_count = 9\n"                            // 8
      "  candidate a { check_address = \"a:80\" }\n"    // 9
      "  candidate A. { check_port = 99999 }\n"         // 10: two
      "}\n"                                             // 11
      "name WWW.example.com. { candidate x { } }\n"     // 12
      "data_file = /srv/har.db\n"                       // 13
      "name b.example.com {\n");                        // 14
  std::vector<int> lines;
  for (const auto& one : loaded.mistakes) {
    lines.push_back(one.line);
    EXPECT_EQ(one.file, "t");
    EXPECT_THAT(one.what, testing::AnyOf(HasSubstr("; "), HasSubstr("?"))) << "what would be right";
  }
  EXPECT_THAT(lines, ElementsAre(1, 2, 3, 4, 6, 7, 8, 9, 10, 10, 12, 14)) << said(loaded.mistakes);
  EXPECT_EQ(loaded.config, nullptr);
  EXPECT_EQ(loaded.data_file_hint, "/srv/har.db");
}

TEST(Load, FindsDataFileAlthoughOtherLinesAreWrong) {
  EXPECT_EQ(load_text("").data_file_hint, "/var/lib/har/har.db");
  EXPECT_EQ(load_text("data_file = /a/b\n}").data_file_hint, "/a/b");
  for (const char* line : {"data_file = /a/b", "  data_file=/a/b # there", "data_file = \"/a/b\"", "data_file\t= '/a/b'",
                           "data_file = /a/b;\r\n", "data_file = /x\ndata_file = /a/b\n"}) {
    EXPECT_EQ(load_text(std::string("}\n") + line).data_file_hint, "/a/b") << "the reading ended before: " << line;
  }
  for (const char* line : {"#data_file = /a/b", "data_files = /a/b", "data_file /a/b", "data_file =", "data_file = b"}) {
    EXPECT_EQ(load_text(std::string("}\n") + line).data_file_hint, "/var/lib/har/har.db") << line;
  }
  EXPECT_EQ(load_text("data_file = b").data_file_hint, "/var/lib/har/har.db");
  EXPECT_EQ(load_text("ttl = 1\ndata_file = /a/b").data_file_hint, "/a/b");
}

TEST(Load, SortsMistakesByTheirPlaceThroughIncludes) {
  const auto loaded = load_texts({{"t", "ttl = 1\ninclude(f)\ndefaults { ttl = x }"}, {"f", "ttl = 2\nname x { }\n"}});
  std::vector<std::string> places;
  for (const auto& one : loaded.mistakes) places.push_back(fmt::format("{}:{}", one.file, one.line));
  EXPECT_THAT(places, ElementsAre("t:1", "f:1", "f:2", "t:3"));
}

TEST(Load, OneInheritedMistakeIsSaidOnce) {
  std::string text = "defaults {\ncheck_frequency = 1\ncheck_frequency_changing = 2\n}\n";
  for (int i = 0; i < 5; ++i) text += fmt::format("name n{} {{ candidate x {{ }} candidate y {{ }} }}\n", i);
  EXPECT_EQ(
      mistakes_of(text),
      "t:3: check_frequency_changing (2) is more than check_frequency (1); write a smaller one, or leave it out for a "
      "quarter\n");
}

TEST(Load, AfterASyntaxErrorNothingIsSaidOfWhatMightHaveFollowed) {
  EXPECT_EQ(mistakes_of("nameservers = 127.0.0.1\nname x { failure_mode = fixed candidate y { } }\nname z {\n = }\n"),
            "t:4: '=' where a key should stand; write 'key = value' or 'section { ... }'\n");
}

TEST(Load, WhatWasReadIsEnoughToReadItAgain) {
  int reads = 0;
  const auto disk =
      bundle_source({{"/etc/har/har.conf", "include(\"a.conf\")\ninclude(\"b\")\nuser = ${HAR_USER:-nobody}\n"},
                     {"/etc/har/a.conf", "workers = ${W}\ninclude(\"~/c\")"},
                     {"b", "log_level = debug"},
                     {"/root/c", "dns_listen_port = 5353"}});
  const FileSource counting = [&](const std::string& path) {
    ++reads;
    return disk(path);
  };
  const auto first =
      load("/etc/har/har.conf", counting, bundle_environment({{"W", "3"}, {"HOME", "/root"}, {"OTHER", "x"}}));
  ASSERT_EQ(said(first.mistakes), "");
  std::vector<std::string> paths;
  for (const auto& file : first.files) paths.push_back(file.path);
  EXPECT_THAT(paths, ElementsAre("/etc/har/har.conf", "/etc/har/a.conf", "/root/c", "b"));
  EXPECT_EQ(first.variables.size(), 3u) << "those asked for, set or not";

  const auto again = load("/etc/har/har.conf", bundle_source(first.files), bundle_environment(first.variables));
  ASSERT_EQ(said(again.mistakes), "");
  EXPECT_EQ(again.config->workers, 3u);
  EXPECT_EQ(again.config->user, "nobody");
  EXPECT_EQ(again.config->dns_listen_port, 5353);
  EXPECT_EQ(again.config->log_level, LogLevel::kDebug);
  EXPECT_EQ(again.files.size(), first.files.size());
}

TEST(Load, ReadsAFileOnceThoughItIsIncludedTwice) {
  int reads = 0;
  const FileSource source = [&](const std::string& path) -> Result<std::string> {
    ++reads;
    if (path == "t") return std::string("name a { include(f) } name b { include(f) }");
    return std::string("candidate x { }");
  };
  const auto loaded = load("t", source, {});
  EXPECT_EQ(said(loaded.mistakes), "");
  EXPECT_EQ(reads, 2);
  EXPECT_EQ(loaded.config->names.size(), 2u);
}

TEST(Load, MessagesAreFitForATerminal) {
  const auto mistakes = mistakes_of("'\x1b[2J' = 1\nname \"\x1b]0;x\x07\" { candidate y { } }");
  EXPECT_EQ(mistakes.find('\x1b'), std::string::npos);
  EXPECT_EQ(mistakes.find('\x07'), std::string::npos);
  EXPECT_LT(mistakes_of(std::string(100'000, 'x') + " = 1").size(), 300u);
}

// 20,000 names take some 0.2 s without sanitizers; libconfuse took 5.2 s. Here only that twice as many take about twice
// as long, with room for a busy machine: were it quadratic, the factor would be 64.
TEST(Load, TakesTimeInProportionToTheNames) {
  const auto text_of = [](int names) {
    std::string text;
    for (int i = 0; i < names; ++i) {
      text += fmt::format(
          "name n{0}.example.com {{\n\tcandidate a{0} {{ check_address = \"http://a{0}/\" }}\n\tcandidate b {{ "
          "}}\n}}\n",
          i);
    }
    return text;
  };
  const auto seconds_for = [&](int names) {
    double best = 1e9;
    for (int run = 0; run < 3; ++run) {
      const auto text = text_of(names);
      const double start = cpu_seconds();
      const auto loaded = load_text(text);
      best = std::min(best, cpu_seconds() - start);
      EXPECT_EQ(loaded.config->names.size(), static_cast<std::size_t>(names));
    }
    return best;
  };
  EXPECT_LT(seconds_for(8'000), 32 * seconds_for(1'000));
}

TEST(Load, WrongInputOfEveryKindTakesLinearTime) {
  for (const auto* unit :
       {"x { ", "a = \"${", "/*", "nmae x { } ", "nameservers += 192.0.2.1 ", "name a { candidate b { } } ",
        "allow_clients += 10.0.0.0/8 ", "include(t) ", "\"", "ttl = { a, "}) {
    std::string text;
    while (text.size() < 500'000) text += unit;
    const double start = cpu_seconds();
    const auto loaded = load_text(text);
    EXPECT_FALSE(loaded.mistakes.empty());
    EXPECT_LT(cpu_seconds() - start, 20) << unit;
  }
}

}  // namespace
}  // namespace har::config
