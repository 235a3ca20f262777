#include "base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <sys/socket.h>
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

// The octet 9B and U+009B begin a terminal's command as ESC [ does.
TEST(Log, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(logged([](int fd) {
              Log("", LogLevel::kInfo, fd)
                  .info("x", {{"a",
                               "\x1b[2J\x9b"
                               "2J\xc2\x9b"
                               "2J"},
                              {"b", "\xc3\xbc\xc3"}});
            }),
            "level=info event=x a=\"\\x1b[2J\\x9b2J\\xc2\\x9b2J\" b=\"\xc3\xbc\\xc3\"\n");
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  EXPECT_EQ(logged([](int fd) { Log("", LogLevel::kWarning, fd).info("x"); }), "");
}

// A log that nobody reads must not stop the daemon. Waiting would last for ever: the alarm ends the test then.
TEST(Log, APlainLineIsWrittenAsItIs) {
  EXPECT_EQ(logged([](int fd) { Log("checker", LogLevel::kError, fd).plain("har.conf:3: what is \"x\"?"); }),
            "har.conf:3: what is \"x\"?\n");
}

// More than a pipe that has some room is sure to take: the writer would wait.
TEST(Log, AVeryLongLineIsCut) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const std::string filling(static_cast<std::size_t>(fcntl(ends[1], F_GETPIPE_SZ)) - 2 * PIPE_BUF + 1, '.');
  ASSERT_EQ(write(ends[1], filling.data(), filling.size()), static_cast<ssize_t>(filling.size()));
  Log("", LogLevel::kInfo, ends[1]).plain(std::string(100'000, 'x'));
  close(ends[1]);
  std::string all(200'000, '\0');
  std::size_t size = 0;
  for (ssize_t got = 0; (got = read(ends[0], all.data() + size, all.size() - size)) > 0;) {
    size += static_cast<std::size_t>(got);
  }
  close(ends[0]);
  EXPECT_EQ(size, filling.size() + PIPE_BUF);
  EXPECT_EQ(all[size - 1], '\n');
}

TEST(Log, DoesNotWaitForALogThatNobodyReads) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_GT(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
  alarm(10);
  for (int i = 0; i < 200; ++i) Log("", LogLevel::kInfo, ends[1]).info("a_line_of_some_length", {{"number", i}});
  close(ends[0]);
  close(ends[1]);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  for (int i = 0; i < 20'000; ++i) Log("", LogLevel::kInfo, ends[1]).info("a_line_of_some_length", {{"number", i}});
  alarm(0);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace har
