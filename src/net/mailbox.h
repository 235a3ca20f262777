// Values from any thread to the thread of one loop, in order. One of the two files with a lock.
// Thread: post() from any; the callback runs on the loop's thread.  Tested by: loop_test.cc
#pragma once

#include <sys/eventfd.h>

#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "net/fd.h"
#include "net/loop.h"

namespace har::net {

template <class T>
class Mailbox {
 public:
  Mailbox(Loop& loop, std::function<void(T)> callback)
      : callback_(std::move(callback)), bell_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    HAR_ASSERT(bell_);
    watch_.emplace(loop, bell_.get(), Watch::kRead, [this](Watch::Interest) { serve(); });
  }

  void post(T value) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(value));
    }
    const eventfd_t one = 1;
    eventfd_write(bell_.get(), one);
  }

 private:
  void serve() {
    eventfd_t rings = 0;
    eventfd_read(bell_.get(), &rings);
    std::vector<T> taken;
    {
      const std::lock_guard lock(mutex_);
      taken.swap(waiting_);
    }
    for (T& value : taken) callback_(std::move(value));
  }

  // fixed after construction
  std::function<void(T)> callback_;
  Fd bell_;
  std::optional<Watch> watch_;
  // guarded by mutex_
  std::mutex mutex_;
  std::vector<T> waiting_;
};

}  // namespace har::net
