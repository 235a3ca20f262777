// The event loop of one thread: descriptors, timers, deferred calls. Wraps libevent, which no other folder names.
// Not for: other threads (use Mailbox).  Thread: everything here belongs to the thread that runs the loop.
// Tested by: loop_test.cc
#pragma once

#include <functional>
#include <memory>

#include "base/time.h"

struct event;
struct event_base;

namespace har::net {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();       // until stop()
  void run_once();  // waits for one round of events and serves it; for tests
  void stop();      // run() returns after the current round; the next run() at once, if none is under way

 private:
  friend class Watch;
  friend class Timer;
  friend class Later;
  event_base* base_;
  bool running_ = false;
  bool stop_asked_ = false;
};

// Calls back while a descriptor can be read or written (level-triggered). Destroying it ends the watching; it may
// destroy itself inside its own callback. Must be destroyed before its descriptor is closed.
class Watch {
 public:
  enum Interest : unsigned char { kNone = 0, kRead = 1, kWrite = 2, kReadWrite = 3 };
  // `ready` says which of kRead and kWrite hold; an error or hang-up counts as both that were asked for.
  using Callback = std::function<void(Interest ready)>;

  Watch(Loop& loop, int fd, Interest interest, Callback callback);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // kNone pauses. False: it is kNone now, the kernel has no memory for more or a limit is reached.
  bool set_interest(Interest interest);
  Interest interest() const { return interest_; }

 private:
  void arm();

  struct Shared;
  std::shared_ptr<Shared> shared_;  // lets the callback destroy the Watch
  Loop& loop_;
  int fd_;
  Interest interest_;
  event* event_ = nullptr;
};

// Calls back once, some milliseconds' precision, never from inside set(). Destroying it cancels it.
class Timer {
 public:
  using Callback = std::function<void()>;

  Timer(Loop& loop, Callback callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void set(Duration from_now);  // replaces what was set; zero or less means the next turn of the loop
  void cancel();
  bool is_set() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  event* event_ = nullptr;
};

// Calls back once, later in this turn of the loop: when all that is ready now has been served, before the loop waits
// again. For what is cheaper done once for many events than once for each. Destroying it cancels it.
class Later {
 public:
  using Callback = std::function<void()>;

  Later(Loop& loop, Callback callback);
  ~Later();
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;

  void ask();  // as often as one likes: one call. From inside the callback: another one

 private:
  Callback callback_;
  event* event_ = nullptr;
};

}  // namespace har::net
