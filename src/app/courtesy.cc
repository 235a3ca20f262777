#include "app/courtesy.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "app/process.h"

namespace har::app {

namespace {

constexpr int kNicer = 10;
constexpr std::uint64_t kShortestTurn = 100'000;  // ns; what the kernel takes at least

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

}  // namespace

void ask_for_short_turns() {
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime = kShortestTurn;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

Courtesy::Courtesy() : usual_(getpriority(PRIO_PROCESS, 0)) {}

std::function<void()> Courtesy::standing_back() const {
  return [nicer = usual_ + kNicer] { setpriority(PRIO_PROCESS, 0, nicer); };  // of the calling thread alone
}

void Courtesy::stand_back_for(const std::function<void()>& work) {
  if (std::exchange(stands_back_, true)) return work();
  do_apart(work, standing_back());
  stands_back_ = false;
}

}  // namespace har::app
