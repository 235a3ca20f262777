#include "app/keeper.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <utility>

#include "app/keeper_impl.h"
#include "app/precedence.h"
#include "app/service_manager.h"
#include "base/assert.h"
#include "net/clock.h"

namespace har::app {
namespace {

using std::chrono::milliseconds;

constexpr Duration kBindPatience = std::chrono::seconds(2);  // after an abrupt end the kernel may hold a port a moment
constexpr Duration kStopPatience = milliseconds(950);        // SIGTERM ends within a second
constexpr Duration kSuspended = std::chrono::seconds(1);     // our own loop this late: the machine slept, not a child
constexpr Duration kKillPatience = milliseconds(200);        // then who hangs in the kernel (a dead disk) is left to it
constexpr Duration kForkAgain = milliseconds(500);
constexpr int kEarlyCrashes = 5;  // of children, before anything has been served

}  // namespace

int Keeper::run() {
  take_signals();
  const Instant start = net::now();
  bind_until_ = start + kBindPatience;
  if (!take_over(start)) {
    start_checker(start);
    start_answerer(start);
  }
  while (!exit_code_ || !(children().empty() || has_given_up_)) wait_for_events();
  return *exit_code_;
}

std::unique_ptr<Child> Keeper::new_answerer() const {
  return std::make_unique<Child>("answerer", options_.program_folder + "/hard-answerer", log_);
}

std::vector<Child*> Keeper::children() {
  std::vector<Child*> running;
  for (Child* child : {&checker_, answerer_.get(), leaving_.get()}) {
    if (child != nullptr && child->running()) running.push_back(child);
  }
  return running;
}

void Keeper::take_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD}) {
    sigaddset(&wanted, number);
    signal(number, SIG_DFL);  // what our parent ignored (nohup: SIGHUP) would never come
  }
  sigprocmask(SIG_BLOCK, &wanted, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // ulimit -f holds for shared memory as well: a table that is too large is refused
  signals_ = net::Fd(signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  HAR_ASSERT(signals_);
}

void Keeper::wait_for_events() {
  const Instant before = net::now();
  const Duration wait = until_next_deadline(before);
  std::array<pollfd, 4> watched{pollfd{signals_.get(), POLLIN, 0}, pollfd{checker_.channel().fd(), POLLIN, 0},
                                pollfd{answerer_->channel().fd(), POLLIN, 0},
                                pollfd{leaving_ ? leaving_->channel().fd() : -1, POLLIN, 0}};
  const auto wait_ms = std::chrono::ceil<milliseconds>(wait).count();
  poll(watched.data(), watched.size(), static_cast<int>(wait_ms));
  const Instant now = net::now();
  if (now - before > wait + kSuspended) {
    checker_.beat(now);
    answerer_->beat(now);
  }
  signalfd_siginfo signal{};
  while (read(signals_.get(), &signal, sizeof signal) == sizeof signal)
    serve_signal(static_cast<int>(signal.ssi_signo));
  for (Child* child : children()) read_channel(*child);
  if (stopping_) {
    if (now < stop_deadline_) return;
    for (Child* child : children()) child->kill_now();
    has_given_up_ = now >= stop_deadline_ + kKillPatience;
    return;
  }
  checker_.kill_if_silent(now);
  answerer_->kill_if_silent(now);
  if (now >= leave_by_) dismiss_predecessor();
  start_what_is_due(now);
  become_successor_when_calm();
}

Duration Keeper::until_next_deadline(Instant now) const {
  Instant next = now + std::chrono::seconds(1);
  if (stopping_) next = std::min(next, std::max(now + milliseconds(5), stop_deadline_));
  if (!stopping_) next = std::min(next, std::max(now, leave_by_));
  for (const Child* child : {&checker_, static_cast<const Child*>(answerer_.get())}) {
    if (!stopping_ && child->start_again_at()) next = std::min(next, *child->start_again_at());
  }
  return std::max(next - now, Duration{});
}

void Keeper::serve_signal(int number) {
  switch (number) {
    case SIGCHLD:
      collect_children();
      break;
    case SIGHUP:
      log_.info("reload_asked");
      ask_for_reload();
      break;
    case SIGUSR2:
      log_.info("upgrade_asked");
      upgrade_owed_ = true;
      break;
    default:
      log_.info("stopping", {{"signal", number}});
      stop(0);
  }
}

// Of the next checker where this one is gone or on its way out. A full channel holds reloads enough: one of them will
// find the newest file.
void Keeper::ask_for_reload() {
  const bool is_leaving = replacing_ == Replacing::kCheckerEnds;
  if (!is_leaving && checker_.channel().send(kReload, {}, {}, 0)) {
    ++reloads_under_way_;
  } else if (is_leaving || reloads_under_way_ == 0) {
    reload_owed_ = true;
  }
}

void Keeper::collect_children() {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    const Instant now = net::now();
    for (Child* child : children()) {
      if (child->pid() != pid) continue;
      read_channel(*child);  // what it said before it ended
      // Told here, because with both programs missing either may be seen to end first, and ends the other.
      const bool was_missing = WIFEXITED(status) && WEXITSTATUS(status) == 127;
      if (was_missing) log_.error("cannot_start", {{"program", child->program()}});
      if (stopping_ || child == leaving_.get()) {
        child->ended_as_asked(status);
        if (child == leaving_.get()) dismiss_predecessor();
      } else if (child == &checker_ && replacing_ == Replacing::kCheckerEnds) {
        child->ended_as_asked(status);
        pending_.reset();
        replacing_ = Replacing::kCheckerStarts;
        start_checker(now);
      } else if (child == &checker_) {
        checker_ended(status, now);
      } else {
        answerer_ended(status, now);
      }
    }
  }
}

void Keeper::checker_ended(int status, Instant now) {
  pending_.reset();
  checker_.ended(status, now);
  // Its successor follows what it was asked for, unless that is what ends them.
  if (std::exchange(reloads_under_way_, 0) > 0) {
    reload_owed_ = !std::exchange(has_died_of_reload_, true);
    if (!reload_owed_) log_.error("reload_refused", {{"reason", "two checkers have died of it"}});
  }
  if (active_) return;  // the answers go on from the table; it is started again
  // Nothing has ever been served: its reason is ours.
  if (WIFEXITED(status)) {
    stop(WEXITSTATUS(status) == 2 ? 2 : 1);
  } else if (++early_crashes_ >= kEarlyCrashes) {
    stop(1);
  }
}

void Keeper::answerer_ended(int status, Instant now) {
  answerer_->ended(status, now);
  if (is_served_) return;  // it is started again
  const bool is_missing = WIFEXITED(status) && WEXITSTATUS(status) == 127;
  if (is_missing || ++early_crashes_ >= kEarlyCrashes) stop(1);
}

void Keeper::start_what_is_due(Instant now) {
  if (checker_.start_again_at() && now >= *checker_.start_again_at()) start_checker(now);
  if (answerer_->start_again_at() && now >= *answerer_->start_again_at()) start_answerer(now);
}

void Keeper::start_checker(Instant now) {
  if (const auto started = checker_.start(now); !started) {
    return cannot_start(checker_, started.error().message, now);
  }
  net::Packer hello;
  hello.number(active_ ? 1 : 0).text(options_.config_path).number(generation_).text(active_ ? active_->user : "");
  if (active_) {
    checker_.channel().send(kHello, hello.body(), {bundle_.get(), active_->table.get(), active_->counters.get()});
    if (std::exchange(reload_owed_, false)) ask_for_reload();
  } else {
    checker_.channel().send(kHello, hello.body());
  }
}

// Once we serve, a lack of processes or memory is no reason to end the other child and let go of the sockets.
void Keeper::cannot_start(Child& child, const std::string& reason, Instant now) {
  log_.error("cannot_start", {{"process", child.role()}, {"reason", reason}});
  if (!active_) return stop(1);
  child.try_again_at(now + kForkAgain);
}

void Keeper::start_answerer(Instant now) {
  if (const auto started = answerer_->start(now); !started) {
    return cannot_start(*answerer_, started.error().message, now);
  }
  if (active_) send_sockets();
}

void Keeper::read_channel(Child& child) {
  net::Message message;
  // Bounded: a child that floods us must not keep the keeper from its other duties.
  for (int i = 0; i < 100 && child.channel(); ++i) {
    const auto status = child.channel().receive(message, 0);
    if (status == net::Channel::Status::kNothing) return;
    if (status == net::Channel::Status::kClosed) {
      child.channel().close();  // it is ending: SIGCHLD follows
      return;
    }
    handle(child, message);
  }
}

void Keeper::handle(Child& child, net::Message& message) {
  const bool from_checker = &child == &checker_;
  switch (message.type) {
    case kBeat:
      child.beat(net::now());
      if (from_checker && replacing_ == Replacing::kCheckerStarts) replace_answerer(net::now());
      return;
    case kPrepare:
      if (from_checker) prepare(message);
      return;
    case kCommit:
      if (from_checker) commit(message);
      return;
    case kReady:
      if (from_checker) checker_is_ready_ = true;
      return say_when_ready();
    case kServing:
      if (&child == answerer_.get()) {
        net::Unpacker fields(message.body);
        if (fields.number() != generation_) return;  // of an older one; the answer to the newest follows
        retiring_.clear();
        is_served_ = true;
        say_when_ready();
        if (leaving_ && leave_by_ == kNever) dismiss_predecessor();
        checker_.channel().send(kCommitted, net::Packer().number(generation_).body(), {}, kSendPatienceMs);
      }
      return;
    case kReloadOver:
      if (!from_checker || reloads_under_way_ == 0) return;
      --reloads_under_way_;
      has_died_of_reload_ = false;
      return;
    case kGoFirst:
      if (!from_checker) let_go_first(child, message);
      return;
    default:
      log_.error("unknown_message", {{"process", child.role()}, {"type", message.type}});
  }
}

void Keeper::say_when_ready() {
  if (ready_ || !checker_is_ready_ || !is_served_) return;
  ready_ = true;
  log_.info("ready");
  tell_service_manager("READY=1");
}

void Keeper::let_go_first(const Child& answerer, const net::Message& message) {
  net::Unpacker fields(message.body);
  const auto thread = static_cast<pid_t>(fields.number());
  if (!fields.ok()) return;
  const auto given = give_precedence(answerer.pid(), thread);
  if (given || std::exchange(precedence_refused_, true)) return;
  log_.info("no_real_time", {{"reason", given.error().message}});
}

void Keeper::stop(int code) {
  if (stopping_) return;
  stopping_ = true;
  exit_code_ = code;
  stop_deadline_ = net::now() + kStopPatience;
  tell_service_manager("STOPPING=1");
  checker_.do_not_start_again();
  answerer_->do_not_start_again();
  for (Child* child : children()) {
    if (!child->channel().send(kStop, {}, {}, 0)) child->kill_now();
  }
}

int run_keeper(const KeeperOptions& options, Log& log) { return Keeper(options, log).run(); }

}  // namespace har::app
