#include "app/precedence.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <functional>
#include <thread>

#include "net/clock.h"

namespace har::app {
namespace {

using std::chrono::seconds;

TEST(Precedence, WhoIsBusyGoesWithTheOthersUntilItIsCalm) {
  Precedence::Rule rule;
  const Instant now = net::now();
  EXPECT_TRUE(rule.shall_go_first(now, false, 0.49, 100'000));
  EXPECT_FALSE(rule.shall_go_first(now, false, 0.51, 0));
  EXPECT_TRUE(rule.shall_go_first(now, true, 0.74, 10'000)) << "no to and fro at one load";
  EXPECT_FALSE(rule.shall_go_first(now, true, 0.76, 10'000));
  EXPECT_TRUE(rule.shall_go_first(now, false, 0.49, 0));
}

// Two workers that shared their cores with a client answered a fifth of what they answer with the usual policy.
TEST(Precedence, WhoWakesForEachOfManyQueriesGoesWithTheOthersUntilThereAreFewer) {
  Precedence::Rule rule;
  Instant now = net::now();
  EXPECT_FALSE(rule.shall_go_first(now, true, 0.3, 40'000));
  now += Precedence::kRestAfterThat;
  EXPECT_FALSE(rule.shall_go_first(now, false, 0.45, 3'000)) << "more are answered now, by fewer turns";
  EXPECT_FALSE(rule.shall_go_first(now, false, 0.16, 10'000));
  EXPECT_TRUE(rule.shall_go_first(now, false, 0.14, 9'000));
  EXPECT_FALSE(rule.shall_go_first(now, true, 0.8, 40'000)) << "busy as well:";
  EXPECT_TRUE(rule.shall_go_first(now, false, 0.49, 9'000)) << "that is over at half of a core";
}

TEST(Precedence, WhoWakesTooOftenRestsBeforeItIsRaisedAgain) {
  Precedence::Rule rule;
  const Instant now = net::now();
  EXPECT_FALSE(rule.shall_go_first(now, true, 0.3, 16'000));
  EXPECT_FALSE(rule.shall_go_first(now + Precedence::kRestAfterThat - Precedence::kShortestLook, false, 0.01, 0));
  EXPECT_TRUE(rule.shall_go_first(now + Precedence::kRestAfterThat, false, 0.01, 0));
  EXPECT_FALSE(rule.shall_go_first(now + 2 * Precedence::kRestAfterThat, true, 0.8, 0)) << "busy: no such rest";
  EXPECT_TRUE(rule.shall_go_first(now + 2 * Precedence::kRestAfterThat, false, 0.01, 0));
}

TEST(Precedence, IsGivenToThreadsOfTheProcessOnly) {
  const pid_t other = fork();
  if (other == 0) {
    for (;;) pause();
  }
  give_precedence(getpid(), other);
  EXPECT_EQ(sched_getscheduler(other), SCHED_OTHER);
  EXPECT_FALSE(give_precedence(getpid(), 0));
  EXPECT_FALSE(give_precedence(getpid(), -1));
  EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

TEST(Precedence, LooksThatFollowTooSoonAreNone) {
  int asked = 0;
  Precedence precedence([&](pid_t) { ++asked; }, 1);
  const Instant begin = net::now();
  for (int i = 0; i < 10; ++i) precedence.look(begin + i * Precedence::kShortestLook / 10);
  EXPECT_EQ(asked, 1);
}

TEST(Precedence, WhoIsRefusedAsksAFewTimesAndThenOnceAMinute) {
  int asked = 0;
  Precedence precedence(
      [&](pid_t thread) {
        EXPECT_EQ(thread, gettid());
        ++asked;
      },
      1);
  const Instant begin = net::now() + seconds(1);
  for (int i = 0; i < 100; ++i) precedence.look(begin + i * seconds(1));
  EXPECT_EQ(asked, 5);
}

bool is_usual() { return sched_getscheduler(0) == SCHED_OTHER; }

// Uses the processor until `done`, or for some seconds of it; `pause`: with sleeps between.
bool spin_until(const std::function<bool()>& done, bool pause = false) {
  const std::clock_t end = std::clock() + 5 * CLOCKS_PER_SEC;
  for (std::clock_t slept = std::clock(); std::clock() < end;) {
    if (done()) return true;
    if (!pause || std::clock() - slept < CLOCKS_PER_SEC / 500) continue;
    usleep(100);
    slept = std::clock();
  }
  return false;
}

// In a process of its own, for what it does to that. The exit code; 77: real-time priorities are not to be had here.
int in_a_worker(const std::function<int(Precedence&)>& work) {
  const pid_t child = fork();
  if (child == 0) {
    if (!prepare_precedence()) _exit(77);
    int code = 1;
    std::thread([&] {
      Precedence precedence([](pid_t thread) { give_precedence(getpid(), thread); }, 1);
      precedence.look(net::now());
      code = is_usual() ? 77 : work(precedence);
    }).join();
    _exit(code);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  return WEXITSTATUS(status);
}

TEST(Precedence, WhoDoesNotSleepLosesItWithoutALookAndGetsItBackWhenItIsCalm) {
  const int code = in_a_worker([](Precedence& precedence) {
    Instant now = net::now();
    for (int round = 0; round < 3; ++round) {  // the kernel allows a second more each time, unless it is told
      const std::clock_t begin = std::clock();
      if (!spin_until(is_usual)) return 2;
      if (std::clock() - begin > CLOCKS_PER_SEC / 2) return 3;
      spin_until([begin] { return std::clock() - begin > CLOCKS_PER_SEC / 10; });
      precedence.look(now += Precedence::kShortestLook);
      if (!is_usual()) return 4;  // it was busy since the last look
      // What it used before counts until it sleeps: raised awake, as here, it may lose it once more.
      bool is_back = false;
      for (int tries = 0; tries < 50 && !is_back; ++tries) {
        precedence.look(now += seconds(1));  // it used nothing since then
        usleep(1000);
        is_back = !is_usual();
      }
      if (!is_back) return 5;
    }
    return 0;
  });
  if (code == 77) GTEST_SKIP() << "no real-time priorities here";
  EXPECT_EQ(code, 0);
}

TEST(Precedence, WhoIsBusyBetweenItsSleepsLosesItAtTheNextLook) {
  const int code = in_a_worker([](Precedence& precedence) {
    const Instant begin = net::now() + seconds(1);
    precedence.look(begin);
    const std::clock_t end = std::clock() + CLOCKS_PER_SEC / 10;
    spin_until([end] { return std::clock() >= end; }, true);
    precedence.look(begin + Precedence::kShortestLook);
    return is_usual() ? 0 : 2;
  });
  if (code == 77) GTEST_SKIP() << "no real-time priorities here";
  EXPECT_EQ(code, 0);
}

TEST(Precedence, WorkersThatShareCoresShareTheBoundToo) {
  cpu_set_t ours;
  ASSERT_EQ(sched_getaffinity(0, sizeof ours, &ours), 0);
  int asked = 0;
  Precedence precedence([&](pid_t) { ++asked; }, 10 * static_cast<unsigned>(CPU_COUNT(&ours)));
  Instant now = net::now();
  precedence.look(now);
  EXPECT_EQ(asked, 1);
  const std::clock_t end = std::clock() + CLOCKS_PER_SEC / 50;
  spin_until([end] { return std::clock() >= end; });
  precedence.look(now += 2 * Precedence::kShortestLook);  // a tenth of a core, a whole share
  EXPECT_EQ(asked, 1);
  precedence.look(now += seconds(1));
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace har::app
