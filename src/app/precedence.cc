#include "app/precedence.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace har::app {
namespace {

constexpr int kPriority = 1;                      // of 99: the lowest
constexpr rlimit kPatience{20'000, 3'000'000};    // µs without sleep: SIGXCPU; SIGKILL, should that not help
constexpr std::uint64_t kShortestTurn = 100'000;  // ns; what the kernel takes at least
constexpr int kMostInVain = 3;                    // the keeper may be slow; one that is refused should not ask all day
constexpr Duration kRestOfTheRefused = std::chrono::minutes(1);

thread_local volatile sig_atomic_t was_taken_down = 0;

// Also in a signal handler.
void go_with_the_others() {
  const sched_param none{};
  sched_setscheduler(0, SCHED_OTHER, &none);
}

void on_no_sleep(int) {
  const int error = errno;
  was_taken_down = 1;
  // The kernel has raised it by a second, for all threads: before another takes this core.
  setrlimit(RLIMIT_RTTIME, &kPatience);
  go_with_the_others();
  errno = error;
}

// Only the C library of a later Debian declares it.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;  // of SCHED_OTHER: the length of a turn, ns
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};

// To be let in sooner when others want this core, and for less at a time: for this thread and those that it starts.
void ask_for_short_turns() {
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  attributes.runtime = kShortestTurn;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

Duration cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

long sleeps() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

int cores() {
  cpu_set_t ours;
  return sched_getaffinity(0, sizeof ours, &ours) == 0 ? CPU_COUNT(&ours) : 1;
}

}  // namespace

bool is_scheduled_as_usual() { return sched_getscheduler(0) == SCHED_OTHER && getpriority(PRIO_PROCESS, 0) <= 0; }

Result<void> give_precedence(pid_t process, pid_t thread) {
  if (!is_scheduled_as_usual()) return failure("the daemon was started with another policy or nice value");
  // Whoever has taken the answerer over shall not raise others.
  if (tgkill(process, thread, 0) != 0) return errno == ESRCH ? Result<void>{} : failure(strerrordesc_np(errno));
  const sched_param lowest{.sched_priority = kPriority};
  if (sched_setscheduler(thread, SCHED_RR, &lowest) != 0) return failure(strerrordesc_np(errno));
  return {};
}

bool prepare_precedence() {
  if (sched_getscheduler(0) == SCHED_OTHER) ask_for_short_turns();
  if (!is_scheduled_as_usual()) return false;
  struct sigaction action {};
  action.sa_handler = on_no_sleep;
  action.sa_flags = SA_RESTART;
  return sigaction(SIGXCPU, &action, nullptr) == 0 && setrlimit(RLIMIT_RTTIME, &kPatience) == 0;
}

Precedence::Precedence(Ask ask, std::uint32_t workers)
    : ask_(std::move(ask)), core_(std::min(1.0, static_cast<double>(cores()) / std::max(workers, 1U))) {}

bool Precedence::Rule::shall_go_first(Instant now, bool goes_first, double share_of_a_core, double wakes) {
  if (!goes_first) return share_of_a_core < calm_again_ && now >= rests_until_;
  calm_again_ = kCalmAgain;
  if (share_of_a_core >= kTooBusy) return false;
  if (wakes <= kTooOften) return true;
  calm_again_ = std::min(kCalmAgain, share_of_a_core / 2);
  rests_until_ = now + kRestAfterThat;
  return false;
}

void Precedence::look(Instant now) {
  if (!ask_ || (looked_ != Instant{} && now - looked_ < kShortestLook)) return;
  const Duration used = cpu_time();
  const long slept = sleeps();
  const bool is_first_look = looked_ == Instant{};
  const double passed = is_first_look ? 1 : to_seconds(now - looked_);
  const double share = is_first_look ? 0 : to_seconds(used - used_) / passed / core_;
  const double wakes = is_first_look ? 0 : static_cast<double>(slept - slept_) / passed;
  looked_ = now;
  used_ = used;
  slept_ = slept;
  const int policy = sched_getscheduler(0);
  if (policy != SCHED_RR && policy != SCHED_OTHER) return;  // somebody has chosen for us
  const bool first = policy == SCHED_RR, shall = rule_.shall_go_first(now, first, share, wakes);
  if (first || was_taken_down != 0) asked_in_vain_ = 0;
  was_taken_down = 0;
  if (first && !shall) go_with_the_others();
  if (first || !shall || now < ask_again_) return;
  if (++asked_in_vain_ > kMostInVain) ask_again_ = now + kRestOfTheRefused;
  ask_(gettid());
}

}  // namespace har::app
