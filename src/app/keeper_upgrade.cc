// SIGUSR2: the keeper executes the program that stands in its place now, and leaves it its sockets, memory and children
// (handover.h). The successor replaces the children one after the other:
//
//   checker: told to stop, ended ---> started: it adopts the table, or lays out a new one when that has another layout
//   its first beat ---> a second answerer is started beside the first, which is told to go once the second serves
//   the first reads no more packets and takes no new connections; it ends when its last connection has, 30 s later at
//   most
//
// Both answerers count into the same cells for that time: a few queries may be counted once for two.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "app/handover.h"
#include "app/keeper_impl.h"
#include "app/process.h"
#include "net/clock.h"

namespace har::app {
namespace {

constexpr Duration kTrialPatience = std::chrono::seconds(1);
constexpr Duration kLeavePatience = std::chrono::seconds(32);  // the answerer gives its connections 30

}  // namespace

// True when a predecessor has left us what it had.
bool Keeper::take_over(Instant now) {
  if (options_.handover < 0) return false;
  auto left = Handover::take(options_.handover);
  if (!left) {
    log_.error("cannot_take_over", {{"reason", left.error().message}});
    return false;
  }
  active_ = std::move(left->active);
  bundle_ = std::move(left->bundle);
  generation_ = left->generation;
  ready_ = left->ready;
  is_served_ = true;
  log_.set_level(active_->log_level);
  log_.info("upgraded", {{"version", HAR_VERSION}, {"generation", generation_}});
  if (left->answerer.pid != 0) {
    answerer_->adopt(left->answerer.pid, net::Channel(net::Fd(left->answerer.channel)), now);
  } else {
    start_answerer(now);
  }
  if (left->checker.pid != 0) {
    checker_.adopt(left->checker.pid, net::Channel(net::Fd(left->checker.channel)), now);
    replacing_ = Replacing::kCheckerEnds;
    if (!checker_.channel().send(kStop, {}, {}, 0)) checker_.kill_now();
  } else {
    replacing_ = Replacing::kCheckerStarts;
    start_checker(now);
  }
  drop_rights();
  collect_children();  // who ended meanwhile
  return true;
}

// Not while a reload is on its way or an upgrade is not over: what is half done cannot be left to anybody.
void Keeper::become_successor_when_calm() {
  if (!upgrade_owed_ || !active_ || pending_ || !retiring_.empty() || replacing_ != Replacing::kNothing) return;
  if (reloads_under_way_ > 0 || reload_owed_) return;
  upgrade_owed_ = false;
  if (successor_can_take_over()) exec_successor();
}

// Asks the new program itself, in a process of its own: one that does not even start must not become us.
bool Keeper::successor_can_take_over() const {
  for (const char* name : {"hard-checker", "hard-answerer"}) {
    const std::string program = options_.program_folder + "/" + name;
    if (access(program.c_str(), X_OK) == 0) continue;
    log_.error("upgrade_refused", {{"program", program}, {"reason", strerrordesc_np(errno)}});
    return false;
  }
  const pid_t trial = fork();
  if (trial < 0) {
    log_.error("upgrade_refused", {{"reason", strerrordesc_np(errno)}});
    return false;
  }
  if (trial == 0) {
    execl(options_.program.c_str(), "hard", "--can-take-over", nullptr);
    _exit(127);
  }
  int status = -1;
  const Instant deadline = net::now() + kTrialPatience;
  pid_t ended = 0;
  while ((ended = waitpid(trial, &status, WNOHANG)) == 0 && net::now() < deadline) wait_ms(5);
  if (ended == 0) {
    kill(trial, SIGKILL);
    waitpid(trial, &status, 0);
  }
  if (ended == trial && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  log_.error("upgrade_refused", {{"program", options_.program},
                                 {"reason", ended == 0 ? "it does not end its trial" : describe_end(status)}});
  return false;
}

void Keeper::exec_successor() {
  Handover handover;
  handover.active = std::move(*active_);
  handover.bundle = std::move(bundle_);
  handover.generation = generation_;
  handover.ready = ready_;
  const auto leave = [](const Child& child, int channel) { return Handover::Process{child.pid(), channel}; };
  handover.checker = leave(checker_, checker_.channel().fd());
  handover.answerer = leave(*answerer_, answerer_->channel().fd());
  std::string reason;
  if (const auto number = handover.leave()) {
    const std::string text = fmt::format("{}", *number);
    execl(options_.program.c_str(), "hard", "--take-over", text.c_str(), options_.config_path.c_str(), nullptr);
    reason = strerrordesc_np(errno);
    handover.keep();
    close(*number);
  } else {
    reason = number.error().message;
  }
  log_.error("upgrade_refused", {{"program", options_.program}, {"reason", reason}});
  active_ = std::move(handover.active);
  bundle_ = std::move(handover.bundle);
}

void Keeper::replace_answerer(Instant now) {
  replacing_ = Replacing::kAnswerer;
  leaving_ = std::exchange(answerer_, new_answerer());
  leave_by_ = kNever;
  start_answerer(now);
}

// First it is told to go; called again when its time is up, or when it has ended.
void Keeper::dismiss_predecessor() {
  if (leaving_->running() && leave_by_ == kNever) {
    leave_by_ = net::now() + kLeavePatience;
    if (leaving_->channel().send(kStop, net::Packer().number(1).body(), {}, 0)) return;
  }
  if (leaving_->running()) {
    leaving_->kill_now();
    leave_by_ = net::now() + kTrialPatience;
    return;  // SIGCHLD follows
  }
  leaving_.reset();
  leave_by_ = kNever;
  replacing_ = Replacing::kNothing;
  log_.info("upgrade_done");
}

}  // namespace har::app
