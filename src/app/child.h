// One of the keeper's two processes: started, watched, started again.
// Restarts: at once, ten times in a row; each second of life is worth one more, up to ten again. One that dies faster
// is started after 50 ms, doubling to 500 ms. Thread: the keeper's.  Tested by: child_test.cc (the pace), tests/e2e/
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/log.h"
#include "base/time.h"
#include "net/channel.h"

namespace har::app {

// When to start a process again that keeps dying. Pure.
class RestartPace {
 public:
  // It died at `now` after having been started at `started`; returns how long to wait.
  Duration died(Instant started, Instant now);

 private:
  static constexpr Duration kAStart = std::chrono::seconds(1);  // of life, for a start at once
  static constexpr Duration kMostSaved = 10 * kAStart;
  Duration saved_ = kMostSaved;
  Duration next_{};
};

class Child {
 public:
  static constexpr Duration kSilence = std::chrono::seconds(10);  // without a beat: hung

  Child(std::string role, std::string program, const Log& log);

  // Forks and executes. Its end of the channel is descriptor 3; it dies with the keeper.
  Result<void> start(Instant now);
  // A process that runs already, with our end of its channel.
  void adopt(pid_t pid, net::Channel channel, Instant now);
  // Collects what waitpid said of this pid.
  void ended(int status, Instant now);
  void ended_as_asked(int status);  // no line for a clean end, no new start
  void kill_if_silent(Instant now);
  void beat(Instant now) { last_beat_ = now; }
  void kill_now();

  const std::string& role() const { return role_; }
  const std::string& program() const { return program_; }
  pid_t pid() const { return pid_; }  // 0: not running
  bool running() const { return pid_ != 0; }
  net::Channel& channel() { return channel_; }
  std::optional<Instant> start_again_at() const { return start_again_at_; }
  void try_again_at(Instant when) { start_again_at_ = when; }
  void do_not_start_again() { start_again_at_.reset(); }

 private:
  // fixed after construction
  std::string role_;
  std::string program_;
  const Log& log_;
  // the keeper's
  pid_t pid_ = 0;
  net::Channel channel_;
  Instant started_{};
  Instant last_beat_{};
  RestartPace pace_;
  std::optional<Instant> start_again_at_;
};

// "exit 2", "signal 11 (Segmentation fault)"
std::string describe_end(int wait_status);

}  // namespace har::app
