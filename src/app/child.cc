#include "app/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "app/messages.h"

namespace har::app {
namespace {

using std::chrono::milliseconds;
constexpr Duration kFirstDelay = milliseconds(50);
constexpr Duration kLongestDelay = milliseconds(500);

// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(const char* program, int channel, pid_t keeper) {
  // The child must not outlive the keeper. The flag is cleared by a change of uid: the child sets it again then.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != keeper) _exit(1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (dup2(channel, kChannelFd) < 0) _exit(127);
  // Ours close by themselves; this is for what we were started with and know nothing of.
  close_range(kChannelFd + 1, ~0U, 0);
  char* const arguments[] = {const_cast<char*>(program), nullptr};
  execv(program, arguments);
  _exit(127);
}

}  // namespace

Duration RestartPace::died(Instant started, Instant now) {
  saved_ = std::min(saved_ + (now - started), kMostSaved);
  if (saved_ >= kAStart) {
    saved_ -= kAStart;
    next_ = Duration{};
  } else {
    next_ = next_ == Duration{} ? kFirstDelay : std::min(next_ * 2, kLongestDelay);
  }
  return next_;
}

Child::Child(std::string role, std::string program, const Log& log)
    : role_(std::move(role)), program_(std::move(program)), log_(log) {}

Result<void> Child::start(Instant now) {
  start_again_at_.reset();
  auto pair = net::Channel::make_pair();
  if (!pair) return tl::unexpected(pair.error());
  const pid_t keeper = getpid();
  const pid_t pid = fork();
  if (pid < 0) return failure(fmt::format("fork: {}", strerrordesc_np(errno)));
  if (pid == 0) {
    // Descriptor 3 may be the channel itself, which then must lose its close-on-exec flag: dup first.
    const int held = pair->second.get();
    const int channel = held == kChannelFd ? fcntl(held, F_DUPFD_CLOEXEC, kChannelFd + 1) : held;
    become(program_.c_str(), channel, keeper);
  }
  channel_ = std::move(pair->first);
  pid_ = pid;
  started_ = last_beat_ = now;
  return {};
}

void Child::adopt(pid_t pid, net::Channel channel, Instant now) {
  start_again_at_.reset();
  channel_ = std::move(channel);
  pid_ = pid;
  started_ = last_beat_ = now;
}

void Child::ended(int status, Instant now) {
  pid_ = 0;
  channel_.close();
  start_again_at_ = now + pace_.died(started_, now);
  log_.warning("process_ended", {{"process", role_},
                                 {"how", describe_end(status)},
                                 {"lived_s", fmt::format("{:.3f}", to_seconds(now - started_))}});
}

void Child::ended_as_asked(int status) {
  pid_ = 0;
  channel_.close();
  start_again_at_.reset();
  if (status != 0) log_.warning("process_ended", {{"process", role_}, {"how", describe_end(status)}});
}

void Child::kill_if_silent(Instant now) {
  if (!running() || now - last_beat_ < kSilence) return;
  log_.error("process_hung", {{"process", role_}, {"pid", pid_}, {"silent_s", to_seconds(now - last_beat_)}});
  last_beat_ = now;
  kill_now();
}

void Child::kill_now() {
  if (running()) kill(pid_, SIGKILL);
}

std::string describe_end(int wait_status) {
  if (WIFEXITED(wait_status)) return fmt::format("exit {}", WEXITSTATUS(wait_status));
  if (WIFSIGNALED(wait_status)) {
    return fmt::format("signal {} ({})", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
  }
  return "unknown";
}

}  // namespace har::app
