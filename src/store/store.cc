#include "store/store.h"

#include <pthread.h>
#include <signal.h>

#include <optional>
#include <thread>
#include <utility>

#include "net/clock.h"
#include "store/desk.h"
#include "store/session.h"

namespace har::store {
namespace {

using Kind = Failure::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

// What comes together is written together, and not more often than this: well within the second that state changes may
// take to the disk.
constexpr Duration kGather = milliseconds(20);
constexpr Duration kBetweenWrites = milliseconds(200);
constexpr Duration kBusyTimeout = milliseconds(200);  // then we look whether we are to stop, and try again
constexpr Duration kBusyIsTrouble = seconds(2);       // shorter locks are somebody's ordinary work
constexpr Duration kRetry = seconds(3);               // full, read-only, another's: now and then
constexpr Duration kIdleLook = seconds(2);            // is the file still there?
constexpr Duration kThinEvery = seconds(60);
constexpr Duration kCheckAtMost = seconds(5);
constexpr Duration kCheckRest = seconds(1);
constexpr int kCheckShare = 20;       // a twentieth of the time, at most, goes into checks of what others have touched
constexpr int kRoutineShare = 1'000;  // and a thousandth into those that nothing gave a reason for,
constexpr Duration kRoutineAtMost = milliseconds(500);  // which nobody's changes shall wait for
constexpr Duration kLastWords = milliseconds(300);
// A disk that ruins every new file must not be given one at each write.
constexpr Duration kSetAsideEvery = seconds(60);

// The store's thread: owns the file. No state of its own is shared but the desk.
class Worker {
 public:
  Worker(std::shared_ptr<Desk> desk, std::string file, const Log& log, Duration check_every)
      : desk_(std::move(desk)), file_(std::move(file)), log_(log), check_every_(check_every) {}

  void run(const std::function<void()>& from_now_on_writes) {
    open();
    if (from_now_on_writes) from_now_on_writes();
    while (!desk_->wait(next_turn(), is_ready(), kGather)) turn();
    finish();
    session_.reset();
    desk_->set_done();
  }

 private:
  bool is_ready() const { return session_ && net::now() >= not_before_; }

  Instant next_turn() const {
    const Instant idle = net::now() + kIdleLook;
    if (!session_) return std::min(next_open_, idle);
    if (net::now() < not_before_) return std::min(not_before_, idle);
    return std::min(next_thin_, idle);
  }

  void turn() {
    if (!session_ && net::now() >= next_open_) open();
    serve_readings();
    if (!is_ready()) return;
    bool samples_fit = true;
    if (const auto there = session_->look(samples_fit); !there) return fail(there.error());
    is_touched_ = is_touched_ || session_->is_touched();
    const Instant now = net::now();
    if (now >= (is_touched_ ? next_check_ : next_routine_check_)) {
      if (const auto whole = check_touched(); !whole) return fail(whole.error());
    }
    write(samples_fit);
    if (session_ && net::now() >= next_thin_) thin();
  }

  void open() {
    auto session = Session::open(file_, kBusyTimeout);
    if (!session) {
      // Whatever can still be read is better than nothing; but not what is damaged or not ours.
      const Kind kind = session.error().kind;
      Attempt<Loaded> loaded = tl::unexpected(session.error());
      if (!is_read_ && (kind == Kind::kFull || kind == Kind::kOther)) loaded = load_read_only(file_, Moment::current());
      fail(session.error());
      if (loaded) give(std::move(*loaded));
      if (kind != Kind::kBusy && kind != Kind::kCorrupt) desk_->set_loaded_will_be_late();
      return;
    }
    session_ = std::move(*session);
    is_touched_ = false;
    not_before_ = net::now();
    next_thin_ = net::now() + seconds(1);
    next_routine_check_ = net::now() + check_every_;
    if (session_->migrated_from() != 0 && session_->migrated_from() != kSchemaVersion) {
      log_.info("store_migrated", {{"file", file_}, {"from", session_->migrated_from()}, {"to", kSchemaVersion}});
    }
    // Never unread: however late it is, what stands there is known before the first word is written over it.
    if (!is_read_) {
      auto loaded = session_->load(Moment::current());
      if (!loaded) {
        close();  // the next attempt begins from the beginning
        return fail(loaded.error());
      }
      give(std::move(*loaded));
    }
    if (const auto whole = session_->check(kCheckAtMost); !whole) fail(whole.error());
  }

  // What others have written may be sense or not. Somebody who writes all day must not make us read all day. Also from
  // time to time without a sign of it.
  Attempt<void> check_touched() {
    const Instant start = net::now();
    auto whole = session_->check_touched(is_touched_ ? kCheckAtMost : kRoutineAtMost);
    const Instant now = net::now();
    next_check_ = now + std::max<Duration>(kCheckRest, kCheckShare * (now - start));
    next_routine_check_ = now + std::max<Duration>(check_every_, kRoutineShare * (now - start));
    if (whole) is_touched_ = false;
    return whole;
  }

  void give(Loaded loaded) {
    is_read_ = true;
    desk_->set_loaded(std::move(loaded));
  }

  void write(bool samples_fit) {
    Batch batch = desk_->take();
    if (!samples_fit) {
      batch.dropped_samples += batch.samples.size();
      batch.samples.clear();
    }
    if (batch.is_empty()) return;
    if (auto written = session_->write(batch); !written) {
      desk_->put_back(std::move(batch));
      return fail(written.error());
    }
    busy_since_.reset();
    not_before_ = net::now() + kBetweenWrites;
    if (batch.dropped_events + batch.dropped_samples > 0) {
      log_.warning("store_dropped", {{"events", batch.dropped_events}, {"samples", batch.dropped_samples}});
    }
    set_trouble({});
  }

  void thin() {
    const auto is_all = session_->thin(net::wall_now());
    if (!is_all) return fail(is_all.error());
    if (*is_all) next_thin_ = net::now() + kThinEvery;
  }

  void serve_readings() {
    for (auto& [query, done] : desk_->take_readings()) {
      History history;
      if (!session_) {
        history.trouble = desk_->trouble();
        if (history.trouble.empty()) history.trouble = "the store is not open yet";
      } else if (auto read = session_->read_history(query); read) {
        history = std::move(*read);
      } else {
        history.trouble = read.error().message;
        if (read.error().kind != Kind::kBusy) fail(read.error());
      }
      done(std::move(history));
    }
  }

  // What follows from a failure: how soon the next attempt is made, and with the file open or anew.
  void fail(const Failure& failure) {
    const Instant now = net::now();
    switch (failure.kind) {
      case Kind::kBusy:
        if (!busy_since_) busy_since_ = now;
        if (now - *busy_since_ >= kBusyIsTrouble) set_trouble(failure.message);
        not_before_ = next_open_ = now + kBusyTimeout;
        return;
      case Kind::kHalted:  // only on our way out
      case Kind::kFull:    // the file stays open: room may come back at any moment
        set_trouble(failure.message);
        not_before_ = next_open_ = now + kRetry;
        return;
      case Kind::kMoved:
        close();
        log_.warning("store_file_lost", {{"file", file_}, {"reason", failure.message}});
        next_open_ = now;
        return;
      case Kind::kCorrupt:
        session_.reset();
        return replace(failure);
      case Kind::kForeign:
      case Kind::kOther:
        close();
        set_trouble(failure.message);
        next_open_ = now + kRetry;
        return;
    }
  }

  // What has been written is to be written again: the next file may be a new one.
  void close() {
    if (!session_) return;
    if (auto known = session_->read_back(Moment::current()); known && !known->names.empty()) {
      Batch again;
      again.state = std::move(*known);
      desk_->put_back(std::move(again));
    } else if (!known && is_read_) {
      desk_->ask_for_all();
    }
    session_->remove_orphaned_log();
    session_.reset();
  }

  // The file is damaged: a new one takes its place.
  void replace(const Failure& failure) {
    const Instant now = net::now();
    if (last_set_aside_ && now - *last_set_aside_ < kSetAsideEvery) {
      set_trouble(failure.message);
      desk_->set_loaded_will_be_late();
      next_open_ = *last_set_aside_ + kSetAsideEvery;
      return;
    }
    const auto name = set_aside(real_path(file_), net::wall_now());
    if (!name) {
      set_trouble(failure.message + "; " + name.error().message);
      desk_->set_loaded_will_be_late();
      next_open_ = now + kRetry;
      return;
    }
    last_set_aside_ = now;
    log_.error("store_set_aside", {{"file", file_}, {"moved_to", *name}, {"reason", failure.message}});
    desk_->ask_for_all();
    open();  // ends: a second failure of this kind is not answered like this for a while
  }

  void set_trouble(const std::string& trouble) {
    if (trouble == trouble_) return;
    if (trouble.empty()) {
      log_.info("store_recovered", {{"file", file_}});
    } else {
      log_.warning("store_trouble", {{"file", file_}, {"reason", trouble}});
    }
    trouble_ = trouble;
    desk_->set_trouble(trouble);
  }

  void finish() {
    const Instant deadline = net::now() + kLastWords - milliseconds(50);
    do {
      if (!session_) return;
      bool samples_fit = true;
      if (!session_->look(samples_fit)) return;
      session_->halt_at(deadline);
      Batch batch = desk_->take();
      if (batch.is_empty()) return;
      const auto written = session_->write(batch);
      if (written || written.error().kind != Kind::kBusy) return;
      desk_->put_back(std::move(batch));
    } while (net::now() + kBusyTimeout < deadline);
  }

  const std::shared_ptr<Desk> desk_;
  const std::string file_;
  const Log log_;
  const Duration check_every_;
  std::unique_ptr<Session> session_;
  Instant not_before_{}, next_open_{}, next_thin_{}, next_check_{}, next_routine_check_{};
  bool is_touched_ = false;  // by others, and not checked since
  std::optional<Instant> busy_since_, last_set_aside_;
  std::string trouble_;
  bool is_read_ = false;  // what the file held at the start has been given
};

}  // namespace

struct Store::Impl {
  Impl(std::string file, const Log& to, Duration patience, std::function<void(Loaded)> late,
       const std::function<void()>& from_now_on_writes, Duration check_every)
      : log(to), desk(std::make_shared<Desk>()) {
    // Signals are the control thread's business; SIGXFSZ (ulimit -f) must be an error of write(2) and no more.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread = std::thread([worker = Worker(desk, std::move(file), log, check_every), from_now_on_writes]() mutable {
      pthread_setname_np(pthread_self(), "har-store");
      worker.run(from_now_on_writes);
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    loaded = desk->wait_loaded(patience, std::move(late)).value_or(Loaded{});
  }

  ~Impl() {
    desk->stop();
    if (desk->wait_done(kLastWords)) {
      thread.join();
    } else {
      // The disk does not answer. Whoever ends must not wait for it; what is in the file stays whole.
      log.warning("store_abandoned", {{"reason", "the disk does not answer"}});
      thread.detach();
    }
  }

  const Log log;
  const std::shared_ptr<Desk> desk;
  std::thread thread;
  Loaded loaded;
};

Store::Store(std::string file, const Log& log, Duration patience, std::function<void(Loaded)> late,
             const std::function<void()>& from_now_on_writes, Duration check_every)
    : impl_(std::make_unique<Impl>(std::move(file), log, patience, std::move(late), from_now_on_writes, check_every)) {}

Store::~Store() = default;

const Loaded& Store::loaded() const { return impl_->loaded; }

void Store::forget_loaded() { impl_->loaded = {}; }

void Store::late_is_taken() { impl_->desk->late_is_taken(); }

void Store::put_events(std::vector<EventRow> events) {
  impl_->desk->put([&](Batch& batch) { batch.add_events(std::move(events)); });
}

void Store::put_samples(std::vector<Sample> samples) {
  impl_->desk->put([&](Batch& batch) { batch.add_samples(std::move(samples)); });
}

void Store::put_state(std::vector<NameRow> names, std::vector<EndpointRow> endpoints, const Moment& at) {
  impl_->desk->put([&](Batch& batch) { batch.add_state(StateRows::of(std::move(names), std::move(endpoints), at)); });
}

void Store::forget_others(std::vector<std::string> names) {
  impl_->desk->put([&](Batch& batch) { batch.forget_others(std::move(names)); });
}

void Store::read_history(HistoryQuery query, std::function<void(History)> done) {
  impl_->desk->ask({std::move(query), std::move(done)});
}

std::string Store::trouble() const { return impl_->desk->trouble(); }

}  // namespace har::store
