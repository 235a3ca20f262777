#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace har {
namespace {

std::string logged(const auto& say) {
  int pipe_ends[2];
  EXPECT_EQ(pipe(pipe_ends), 0);
  say(pipe_ends[1]);
  close(pipe_ends[1]);
  char text[1000];
  const auto size = read(pipe_ends[0], text, sizeof text);
  close(pipe_ends[0]);
  return {text, static_cast<std::size_t>(size > 0 ? size : 0)};
}

TEST(Log, WritesOneLineOfPairs) {
  EXPECT_EQ(logged([](int fd) {
              Log("checker", LogLevel::kInfo, fd).info("endpoint_down", {{"address", "192.0.2.2"}, {"streak", 3}});
            }),
            "level=info role=checker event=endpoint_down address=192.0.2.2 streak=3\n");
}

TEST(Log, QuotesWhatWouldForgeAnotherField) {
  EXPECT_EQ(logged([](int fd) {
              Log("", LogLevel::kInfo, fd).info("x", {{"a", "b c=\"d\"\n"}, {"e", ""}});
            }),
            "level=info event=x a=\"b c=\\\"d\\\"\\x0a\" e=\"\"\n");
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  EXPECT_EQ(logged([](int fd) { Log("", LogLevel::kWarning, fd).info("x"); }), "");
}

}  // namespace
}  // namespace har
