// Between the control thread, which puts things down and goes on, and the store's thread, which takes them up when it
// can. The other one of the two files with a lock (net/mailbox.h).
// Thread: the first group of functions is the control thread's, the second the store's.  Tested by: store_test.cc
// (TSan)
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
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

  // `to_waiting` is called with the batch that waits, under the lock: it must only move values.
  template <class F>
  void put(F&& to_waiting) {
    change([&] { std::forward<F>(to_waiting)(waiting_); });
  }
  void ask(Reading reading) {
    change([&] {
      if (readings_.size() < kMaxReadings) readings_.push_back(std::move(reading));
    });
  }
  // What the file said; nothing when that has not come in time, or cannot: then set_loaded() will give it to `late`.
  // That is called under the lock: it must only pass on what it is given.
  std::optional<Loaded> wait_loaded(Duration patience, std::function<void(Loaded)> late) {
    std::unique_lock lock(mutex_);
    bell_.wait_for(lock, patience, [this] { return loaded_ || will_be_late_; });
    is_wait_over_ = true;
    late_ = std::move(late);
    return std::exchange(loaded_, std::nullopt);
  }
  // What came late is known now. The state that waits was put without that knowledge: it is to be put again.
  void late_is_taken() {
    change([&] {
      waiting_.state.reset();
      if (untaken_ > 0) --untaken_;
    });
  }
  void stop() {
    change([&] { is_stopping_ = true; });
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

  // Once. What comes late and is not nothing must be taken before anything is written over it.
  void set_loaded(Loaded loaded) {
    change([&] {
      if (!is_wait_over_) {
        loaded_ = std::move(loaded);
      } else if (late_ && !(loaded.names.empty() && loaded.endpoints.empty())) {
        ++untaken_;
        if (!is_stopping_) late_(std::move(loaded));  // else whoever asked for it may be gone
      }
    });
  }
  // The file is a new one: all that was ever put is to be put again.
  void ask_for_all() {
    const std::lock_guard lock(mutex_);
    if (!late_ || is_stopping_) return;
    ++untaken_;
    late_({});
  }
  // Nobody need wait for it: there is a trouble that does not pass in a moment.
  void set_loaded_will_be_late() {
    change([&] { will_be_late_ = true; });
  }
  // Until `until`; until something is to be read; until stop(); and, where `for_writes`, until something waits to be
  // written, and then for `gather` more, so that what comes together is written together. True: stop.
  bool wait(Instant until, bool for_writes, Duration gather) {
    std::unique_lock lock(mutex_);
    const auto is_urgent = [this] { return is_stopping_ || !readings_.empty(); };
    const auto is_to_write = [&] { return for_writes && untaken_ == 0 && !waiting_.is_empty(); };
    bell_.wait_for(lock, until - net::now(), [&] { return is_urgent() || is_to_write(); });
    if (is_to_write()) bell_.wait_for(lock, gather, is_urgent);
    return is_stopping_;
  }
  // Empty as long as something that was given to `late` is not taken.
  Batch take() {
    const std::lock_guard lock(mutex_);
    return untaken_ > 0 ? Batch{} : std::exchange(waiting_, Batch{});
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
    change([&] { is_done_ = true; });
  }

 private:
  template <class F>
  void change(F&& what) {
    {
      const std::lock_guard lock(mutex_);
      std::forward<F>(what)();
    }
    bell_.notify_all();
  }

  static constexpr std::size_t kMaxReadings = 64;

  mutable std::mutex mutex_;
  std::condition_variable bell_;
  // guarded by mutex_
  Batch waiting_;
  std::vector<Reading> readings_;
  std::optional<Loaded> loaded_;      // until it is taken
  std::function<void(Loaded)> late_;  // where it goes once the waiting has ended
  std::string trouble_;
  bool will_be_late_ = false, is_wait_over_ = false;
  int untaken_ = 0;  // of what was given to late_
  bool is_stopping_ = false, is_done_ = false;
};

}  // namespace har::store
