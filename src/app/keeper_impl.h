// The inside of the keeper, shared by its sources: keeper.cc (its daily life), keeper_configuration.cc (how a
// configuration comes to be served) and keeper_upgrade.cc (how it becomes another version of itself).  Thread: one.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "app/child.h"
#include "app/keeper.h"
#include "app/listen_set.h"
#include "app/messages.h"
#include "base/result.h"
#include "net/fd.h"

namespace har::app {

class Keeper {
 public:
  Keeper(const KeeperOptions& options, Log& log)
      : options_(options),
        log_(log),
        checker_("checker", options.program_folder + "/hard-checker", log),
        answerer_(new_answerer()) {}

  int run();

 private:
  void take_signals();
  void wait_for_events();
  void serve_signal(int number);
  void collect_children();
  void checker_ended(int status, Instant now);
  void answerer_ended(int status, Instant now);
  void start_what_is_due(Instant now);
  void start_checker(Instant now);
  void start_answerer(Instant now);
  void cannot_start(Child& child, const std::string& reason, Instant now);
  void read_channel(Child& child);
  void handle(Child& child, net::Message& message);
  void ask_for_reload();
  void let_go_first(const Child& answerer, const net::Message& message);
  void say_when_ready();
  void stop(int code);
  Duration until_next_deadline(Instant now) const;
  std::unique_ptr<Child> new_answerer() const;
  std::vector<Child*> children();  // those that there are

  // keeper_configuration.cc
  void prepare(const net::Message& message);
  void refuse(const std::string& reason);
  Result<void> answerer_can_hold(std::size_t addresses, std::uint32_t workers) const;
  bool may_bind_again();
  void commit(net::Message& message);
  void drop_rights();
  void send_sockets();

  // keeper_upgrade.cc
  bool take_over(Instant now);
  void become_successor_when_calm();
  bool successor_can_take_over() const;
  void exec_successor();
  void replace_answerer(Instant now);
  void dismiss_predecessor();

  // A child that does not read its channel must not keep us from the rest of our duties, the end within a second first.
  static constexpr int kSendPatienceMs = 200;

  // fixed after construction
  const KeeperOptions& options_;
  Log& log_;
  net::Fd signals_;
  // what outlives the children
  Child checker_;
  std::unique_ptr<Child> answerer_;
  std::optional<ListenSet> active_;
  net::Fd bundle_;  // the configuration text that active_ was made from
  std::uint64_t generation_ = 0;
  // while a new configuration is on its way
  std::optional<ListenSet> pending_;
  std::vector<ListenSet> retiring_;  // until the answerer serves the new one
  Instant bind_until_{};
  // the end
  bool stopping_ = false;
  Instant stop_deadline_ = kNever;
  std::optional<int> exit_code_;
  bool has_given_up_ = false;  // on children that do not even end when they are killed
  int early_crashes_ = 0;
  bool ready_ = false;
  bool checker_is_ready_ = false, is_served_ = false;  // what it takes
  bool rights_dropped_ = false;
  bool precedence_refused_ = false;  // said once
  // reloads
  bool reload_owed_ = false;             // asked for while there was no checker to ask
  std::uint32_t reloads_under_way_ = 0;  // asked for of this checker, and not over
  bool has_died_of_reload_ = false;      // the one before it
  // an upgrade
  bool upgrade_owed_ = false;  // asked for, and not the moment for it
  enum class Replacing : std::uint8_t {
    kNothing,
    kCheckerEnds,
    kCheckerStarts,
    kAnswerer
  } replacing_ = Replacing::kNothing;
  std::unique_ptr<Child> leaving_;  // the predecessor's answerer: ends when its connections have
  Instant leave_by_ = kNever;
};

}  // namespace har::app
