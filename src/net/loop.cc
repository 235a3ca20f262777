#include "net/loop.h"

#include <event2/event.h>
#include <sys/time.h>

#include <algorithm>

#include "base/assert.h"

namespace har::net {

Loop::Loop() {
  event_config* config = event_config_new();
  HAR_ASSERT(config != nullptr);
  // Each loop belongs to one thread: no locks. Environment variables must not change how a daemon waits.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  HAR_ASSERT(base_ != nullptr);
}

Loop::~Loop() { event_base_free(base_); }

void Loop::run() {
  running_ = true;
  if (!stop_asked_) event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY);
  running_ = stop_asked_ = false;
}
void Loop::run_once() { event_base_loop(base_, EVLOOP_ONCE); }
void Loop::stop() {
  // libevent forgets a break that was asked for before its loop began.
  stop_asked_ = !running_;
  event_base_loopbreak(base_);
}

struct Watch::Shared {
  Callback callback;
};

Watch::Watch(Loop& loop, int fd, Interest interest, Callback callback)
    : shared_(std::make_shared<Shared>(Shared{std::move(callback)})), loop_(loop), fd_(fd), interest_(interest) {
  arm();
}

Watch::~Watch() {
  if (event_ != nullptr) event_free(event_);
}

void Watch::arm() {
  if (interest_ == kNone) return;
  const short what = static_cast<short>(((interest_ & kRead) != 0 ? EV_READ : 0) |
                                        ((interest_ & kWrite) != 0 ? EV_WRITE : 0) | EV_PERSIST);
  const auto call = [](evutil_socket_t, short ready, void* self) {
    const auto shared = static_cast<Watch*>(self)->shared_;  // keeps the callback alive while it runs
    shared->callback(
        static_cast<Interest>(((ready & EV_READ) != 0 ? kRead : kNone) | ((ready & EV_WRITE) != 0 ? kWrite : kNone)));
  };
  // The memory is had once: a change of interest allocates nothing.
  if (event_ == nullptr) {
    event_ = event_new(loop_.base_, fd_, what, call, this);
    HAR_ASSERT(event_ != nullptr);
  } else {
    event_assign(event_, loop_.base_, fd_, what, call, this);
  }
  if (event_add(event_, nullptr) != 0) interest_ = kNone;
}

bool Watch::set_interest(Interest interest) {
  if (interest == interest_) return true;
  interest_ = interest;
  if (event_ != nullptr) event_del(event_);
  arm();
  return interest_ == interest;
}

struct Timer::Shared {
  Callback callback;
};

Timer::Timer(Loop& loop, Callback callback) : shared_(std::make_shared<Shared>(Shared{std::move(callback)})) {
  event_ = event_new(
      loop.base_, -1, 0,
      [](evutil_socket_t, short, void* self) {
        const auto shared = static_cast<Timer*>(self)->shared_;
        shared->callback();
      },
      this);
  HAR_ASSERT(event_ != nullptr);
}

Timer::~Timer() { event_free(event_); }

void Timer::set(Duration from_now) {
  const auto micros = std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::microseconds>(from_now).count());
  const timeval wait{.tv_sec = static_cast<time_t>(micros / 1'000'000),
                     .tv_usec = static_cast<suseconds_t>(micros % 1'000'000)};
  event_add(event_, &wait);
}

void Timer::cancel() { event_del(event_); }

bool Timer::is_set() const { return event_pending(event_, EV_TIMEOUT, nullptr) != 0; }

Later::Later(Loop& loop, Callback callback) : callback_(std::move(callback)) {
  event_ = event_new(
      loop.base_, -1, 0, [](evutil_socket_t, short, void* self) { static_cast<Later*>(self)->callback_(); }, this);
  HAR_ASSERT(event_ != nullptr);
}

Later::~Later() { event_free(event_); }

// libevent appends to the queue of active events that it is working off.
void Later::ask() { event_active(event_, EV_TIMEOUT, 0); }

}  // namespace har::net
