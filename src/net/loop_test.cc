#include "net/loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "net/clock.h"
#include "net/fd.h"
#include "net/mailbox.h"

namespace har::net {
namespace {

using std::chrono::milliseconds;

struct Pipe {
  Fd read_end, write_end;
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    read_end = Fd(ends[0]);
    write_end = Fd(ends[1]);
  }
  void write() const { EXPECT_EQ(::write(write_end.get(), "x", 1), 1); }
};

TEST(Loop, AWatchMayDestroyItselfInItsCallback) {
  Loop loop;
  Pipe pipe;
  std::optional<Watch> watch;
  int calls = 0;
  watch.emplace(loop, pipe.read_end.get(), Watch::kRead, [&](Watch::Interest) {
    ++calls;
    watch.reset();
    loop.stop();
  });
  pipe.write();
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(Loop, APausedWatchIsNotCalled) {
  Loop loop;
  Pipe paused, live;
  int calls = 0;
  Watch a(loop, paused.read_end.get(), Watch::kRead, [&](Watch::Interest) { ++calls; });
  Watch b(loop, live.read_end.get(), Watch::kRead, [&](Watch::Interest) { loop.stop(); });
  a.set_interest(Watch::kNone);
  paused.write();
  live.write();
  loop.run();
  EXPECT_EQ(calls, 0);
}

TEST(Loop, ALaterCallComesOnceWhenAllThatIsReadyHasBeenServed) {
  Loop loop;
  Pipe one, two;
  int served = 0;
  int served_before = -1;
  int calls = 0;
  Later later(loop, [&] {
    ++calls;
    served_before = served;
  });
  const auto serve = [&](Watch::Interest) {
    ++served;
    later.ask();
    later.ask();
  };
  Watch a(loop, one.read_end.get(), Watch::kRead, serve);
  Watch b(loop, two.read_end.get(), Watch::kRead, serve);
  one.write();
  two.write();
  loop.run_once();
  EXPECT_EQ(served_before, 2);
  EXPECT_EQ(calls, 1);
}

TEST(Loop, ALaterCallAskedForOutsideTheLoopDoesNotWaitForAnEvent) {
  Loop loop;
  Later later(loop, [&] { loop.stop(); });
  later.ask();
  loop.run();
}

TEST(Loop, ATimerFiresOnceAndNotBeforeItsTime) {
  Loop loop;
  int fired = 0;
  const Instant start = now();
  Timer timer(loop, [&] { ++fired; });
  Timer end(loop, [&] { loop.stop(); });
  timer.set(milliseconds(10));
  end.set(milliseconds(40));
  loop.run();
  EXPECT_EQ(fired, 1);
  EXPECT_GE(now() - start, milliseconds(35));
  EXPECT_FALSE(timer.is_set());
}

TEST(Loop, ACancelledTimerDoesNotFire) {
  Loop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  Timer end(loop, [&] { loop.stop(); });
  timer.set(milliseconds(1));
  end.set(milliseconds(20));
  timer.cancel();
  loop.run();
  EXPECT_EQ(fired, 0);
}

TEST(Loop, AStopBeforeTheRunIsNotForgotten) {
  Loop loop;
  loop.stop();
  loop.run();  // would never return
  Timer end(loop, [&] { loop.stop(); });
  end.set(milliseconds(1));
  loop.run();
}

TEST(Mailbox, DeliversEveryValueInOrderAcrossThreads) {
  Loop loop;
  constexpr int kCount = 10'000;
  int expected = 0;
  Mailbox<int> box(loop, [&](int value) {
    EXPECT_EQ(value, expected++);
    if (expected == kCount) loop.stop();
  });
  std::thread sender([&] {
    for (int i = 0; i < kCount; ++i) box.post(i);
  });
  loop.run();
  sender.join();
  EXPECT_EQ(expected, kCount);
}

}  // namespace
}  // namespace har::net
