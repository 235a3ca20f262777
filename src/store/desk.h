// Between the control thread, which puts things down and goes on, and the store's thread, which takes them up when it
// can. The other one of the two files with a lock (net/mailbox.h).
// Thread: the first group of functions is the control thread's, the second the store's.  Tested by: store_test.cc
// (TSan)
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "net/clock.h"
#include "store/batch.h"

namespace har::store {

class Desk {
 public:
  using Reading = std::pair<HistoryQuery, std::function<void(History)>>;

  // The control thread's.

  // `change` is called with the batch that waits, under the lock: it must only move values.
  template <class F>
  void put(F&& change) {
    {
      const std::lock_guard lock(mutex_);
      std::forward<F>(change)(waiting_);
    }
    bell_.notify_all();
  }
  void ask(Reading reading) {
    {
      const std::lock_guard lock(mutex_);
      if (readings_.size() < kMaxReadings) readings_.push_back(std::move(reading));
    }
    bell_.notify_all();
  }
  // What the file said, or nothing when that has not come in time; what comes later is not taken any more.
  Loaded wait_loaded(Duration patience) {
    std::unique_lock lock(mutex_);
    bell_.wait_for(lock, patience, [this] { return is_loaded_; });
    is_loaded_ = true;
    return std::move(loaded_);
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    bell_.notify_all();
  }
  // False: the store's thread is still at it.
  bool wait_done(Duration patience) {
    std::unique_lock lock(mutex_);
    return bell_.wait_for(lock, patience, [this] { return is_done_; });
  }
  std::string trouble() const {
    const std::lock_guard lock(mutex_);
    return trouble_;
  }

  // The store's thread's.

  bool wants_loaded() const {
    const std::lock_guard lock(mutex_);
    return !is_loaded_;
  }
  void set_loaded(Loaded loaded) {
    {
      const std::lock_guard lock(mutex_);
      if (is_loaded_) return;
      loaded_ = std::move(loaded);
      is_loaded_ = true;
    }
    bell_.notify_all();
  }
  // Until `until`; until something is to be read; until stop(); and, where `for_writes`, until something waits to be
  // written, and then for `gather` more, so that what comes together is written together. True: stop.
  bool wait(Instant until, bool for_writes, Duration gather) {
    std::unique_lock lock(mutex_);
    const auto is_urgent = [this] { return is_stopping_ || !readings_.empty(); };
    bell_.wait_for(lock, until - net::now(), [&] { return is_urgent() || (for_writes && !waiting_.is_empty()); });
    if (for_writes && !waiting_.is_empty()) bell_.wait_for(lock, gather, is_urgent);
    return is_stopping_;
  }
  Batch take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, Batch{});
  }
  void put_back(Batch batch) {
    const std::lock_guard lock(mutex_);
    waiting_.put_back(std::move(batch));
  }
  std::vector<Reading> take_readings() {
    const std::lock_guard lock(mutex_);
    return std::exchange(readings_, {});
  }
  void set_trouble(std::string trouble) {
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(trouble);
  }
  void set_done() {
    {
      const std::lock_guard lock(mutex_);
      is_done_ = true;
    }
    bell_.notify_all();
  }

 private:
  static constexpr std::size_t kMaxReadings = 64;

  mutable std::mutex mutex_;
  std::condition_variable bell_;
  // guarded by mutex_
  Batch waiting_;
  std::vector<Reading> readings_;
  Loaded loaded_;
  std::string trouble_;
  bool is_loaded_ = false, is_stopping_ = false, is_done_ = false;
};

}  // namespace har::store
