// Runs one step in a process of its own that has given up rights first, and tells how that ended.
// Thread: one.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

#include "base/log.h"

namespace har::app {

struct Ending {
  int signal = 0;  // what killed it, or
  int error = 0;   // errno of a step that failed; 0: the step was done
  std::string log;

  bool went_on() const { return signal == 0 && error == 0; }
};

inline std::ostream& operator<<(std::ostream& out, const Ending& e) {
  if (e.signal != 0) return out << "killed by " << strsignal(e.signal) << "\n" << e.log;
  return out << (e.error == 0 ? "went on" : strerror(e.error)) << "\n" << e.log;
}

using Enter = std::function<void(const Log&)>;
using Step = std::function<long()>;  // negative: failed, see errno

inline Ending in_child(const Enter& enter, const Step& step) {
  int log_pipe[2];
  EXPECT_EQ(pipe(log_pipe), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    close(log_pipe[0]);
    const Log log("child", LogLevel::kDebug, log_pipe[1]);
    enter(log);
    errno = 0;
    const long result = step();
    _exit(result >= 0 ? 0 : errno == 0 ? 255 : errno);
  }
  close(log_pipe[1]);
  Ending ending;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(log_pipe[0], buffer, sizeof buffer)) > 0;) {
    ending.log.append(buffer, static_cast<std::size_t>(got));
  }
  close(log_pipe[0]);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  if (WIFSIGNALED(status)) ending.signal = WTERMSIG(status);
  if (WIFEXITED(status)) ending.error = WEXITSTATUS(status);
  return ending;
}

// What one process may do and what not, step by step. Filters are off in sanitizer builds: nothing to be tested there.
class FilterTest : public testing::Test {
 protected:
  explicit FilterTest(Enter enter) : enter_(std::move(enter)) {}

  void SetUp() override {
#ifdef HAR_SANITIZED
    GTEST_SKIP() << "no filters in sanitizer builds";
#endif
  }

  void kills(const char* what, const Step& step) const {
    const Ending ending = in_child(enter_, step);
    EXPECT_EQ(ending.signal, SIGSYS) << what << ": " << ending;
  }
  void refuses(const char* what, int error, const Step& step) const {
    const Ending ending = in_child(enter_, step);
    EXPECT_TRUE(ending.signal == 0 && ending.error == error) << what << ": " << ending;
  }
  void goes_on(const char* what, const Step& step) const {
    const Ending ending = in_child(enter_, step);
    EXPECT_TRUE(ending.went_on()) << what << ": " << ending;
    EXPECT_EQ(ending.log.find("right_kept"), std::string::npos) << ending;
  }

 private:
  const Enter enter_;
};

}  // namespace har::app
