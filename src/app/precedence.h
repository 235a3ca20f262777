// A query goes before all else that its core could do, as long as that costs the others little: a worker that mostly
// waits has the lowest real-time priority, one that is busy is scheduled like everybody.
//
// Why: with the usual policy who wakes waits for the end of another's turn (4 ms on kernels that preempt lazily),
// whatever their nice values are. Why not always: a flood of queries would starve the host.
//
//   real-time -> usual   the thread has used more than 3/4 of a core since the last look, or has not slept for 20 ms
//                        (RLIMIT_RTTIME: the kernel sends it SIGXCPU at the tick after that, wherever it is); or it has
//                        woken more than 15,000 times a second: a client on its own core sends a query, is pushed
//                        aside for it, and sends the next, where a turn for many would cost both a quarter
//   usual -> real-time   it has used less than half of a core since the last look; where it woke too often, less than
//                        half of what it used then, and 5 s later
//
// Where workers share cores, "a core" is a worker's share of them.
// The way down needs no right. The way up needs CAP_SYS_NICE, which the keeper keeps: a worker asks it (kGoFirst).
// Where it is refused (no root, a container), or where the daemon was started with a policy or a nice value of the
// operator's own, everything stays as it is, but for short turns (Linux 6.12).
// Source: sched(7), getrlimit(2).  Tested by: precedence_test.cc, tests/e2e/test_rights.py
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "base/time.h"

namespace har::app {

// Whether the operator leaves it to us how we are scheduled.
bool is_scheduled_as_usual();

// In the keeper: for a thread of this process of ours; one that is gone is no failure.
Result<void> give_precedence(pid_t process, pid_t thread);

// In the answerer, before its first worker and its filter of system calls. False: no worker shall ask.
bool prepare_precedence();

// One worker's. Thread: that worker's; constructed anywhere.
class Precedence {
 public:
  using Ask = std::function<void(pid_t thread)>;  // asks the keeper

  // `ask`: none where there is nobody to ask, and then never. `workers`: among how many threads the cores are shared.
  Precedence(Ask ask, std::uint32_t workers);

  // To be called now and then; a look too soon after the last, which would see too little, is none.
  void look(Instant now);

  // Pure. Of each look: what share of a core was used since the last, and how often a second the worker woke.
  class Rule {
   public:
    bool shall_go_first(Instant now, bool goes_first, double share_of_a_core, double wakes);

   private:
    double calm_again_ = kCalmAgain;
    Instant rests_until_{};
  };

  static constexpr Duration kShortestLook = std::chrono::milliseconds(100);
  static constexpr double kTooBusy = 0.75, kCalmAgain = 0.5;           // of a core
  static constexpr double kTooOften = 15'000;                          // a second
  static constexpr Duration kRestAfterThat = std::chrono::seconds(5);  // should it swing: not twice a second

 private:
  // fixed after construction
  const Ask ask_;
  const double core_;  // how much of one is ours
  // the worker's
  Instant looked_{};
  Duration used_{};  // CPU time of this thread, then
  long slept_ = 0;   // how often, then
  Rule rule_;
  int asked_in_vain_ = 0;
  Instant ask_again_{};
};

}  // namespace har::app
