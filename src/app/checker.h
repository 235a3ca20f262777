// The control plane, wired: configuration, candidates' addresses, probes, health, ranking, answer table, store.
// Each part decides nothing about another; what they say to each other passes through here.
// Source: ARCHITECTURE "Two lives".  Thread: one, with an event loop (the store has its own).  Tested by: tests/e2e/
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/accepted_copy.h"
#include "app/bundle.h"
#include "app/courtesy.h"
#include "app/messages.h"
#include "app/moved_candidates.h"
#include "app/network_watch.h"
#include "app/rounds.h"
#include "app/upstream_source.h"
#include "app/ways.h"
#include "base/log.h"
#include "config/config.h"
#include "health/directory.h"
#include "net/channel.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "net/memory.h"
#include "probe/prober.h"
#include "probe/resolver.h"
#include "store/clock_step.h"
#include "store/store.h"
#include "table/counters.h"
#include "table/writer.h"

namespace har::app {

class Checker {
 public:
  Checker(Log& log, net::Channel keeper);
  ~Checker();

  int run();  // the exit code of the process

 private:
  // One generation of shared memory, as this process sees it.
  struct Memory {
    net::Mapping table_memory, counters_memory;
    std::optional<table::Writer> writer;
    std::optional<table::Counters> counters;
    std::vector<std::string> names;  // of its slots
  };

  // ---- start and reload (checker_start.cc, checker_configuration.cc)
  std::optional<int> start();  // an exit code when it cannot
  std::optional<int> choose_configuration(const std::string& path, bool& resume, const net::Message& hello,
                                          Bundle& bundle);
  bool prepare(const config::Config& wanted, Memory& out, std::string& why_not);
  bool resume_memory(const net::Message& hello);
  std::optional<int> drop_rights(const Bundle& read);  // an exit code when it cannot
  void doubt_stored();
  void adopt_table();
  void start_engines();
  probe::ProbeLimits probe_limits() const;
  void find_upstreams();
  void fill_table(Memory& memory);
  void commit(const net::Fd& bundle_text);
  void reload();
  void note_what_needs_a_restart(const config::Config& wanted, Bundle& bundle) const;
  void keep_what_is_in_force(const Bundle& bundle);
  config::LoadOptions load_options();
  void report_mistakes(const config::Loaded& loaded) const;
  std::optional<net::Message> wait_for(std::uint32_t type, std::uint32_t or_type);

  // ---- the host's own network (checker_network.cc)
  void watch_network();
  void on_network(const NetworkChange& change);
  void look_at_ways();
  void follow_isolation();
  void fresh_round_of(std::string_view what);
  void ask_everything_anew();

  // ---- running (checker.cc)
  void on_keeper();
  void handle(net::Message& message);
  void handle_postponed();
  void on_resolved(const std::string& host, const std::vector<IpAddress>& addresses);
  void on_resolution_failed(const std::string& host);
  void on_observed(health::CheckId check, const health::Observation& observation);
  void on_upstreams(const std::vector<IpPort>& upstreams);
  void beat();
  void on_beat();
  void on_tick();
  void apply_changes();
  void write_slot(std::uint32_t slot);
  bool may_replace_adopted(std::uint32_t slot) const;
  void tell_events(std::vector<health::Event>& events);
  void adopt_observed_slots();
  enum class Remember : bool { kNo, kYes };
  void set_hosts(Remember addresses);
  void give_memory_back();
  bool is_first_round_over() const;
  void say_ready_when_due();
  void stop();

  // ---- what stays on disk (checker_store.cc)
  void open_store(Duration patience);
  void find_moved(const Bundle& bundle);
  void count_from(const std::vector<store::NameRow>& stored);
  void take_late(store::Loaded late);
  void look_at_clocks();
  void on_flush();
  void put_history();
  void put_state(std::size_t limit);
  void look_at_counters(std::size_t names);
  void mark_dirty(std::uint32_t slot);
  void forget_dirty();
  store::EndpointRow with_dns_counters(std::uint32_t slot, health::EndpointReport report) const;
  std::uint64_t queries_of(std::uint32_t slot) const;
  void fold_retired_counters();
  static constexpr std::size_t kSamplesAtOnce = 50'000;  // beyond: the disk does not keep up, history is lost

  // fixed after construction
  Log& log_;
  net::Channel keeper_;
  Instant born_;
  Courtesy courtesy_;
  // owned by the control thread
  net::Loop loop_;
  std::string config_path_;
  std::shared_ptr<const config::Config> config_;  // the one that runs
  std::uint64_t generation_ = 0;
  std::uint32_t workers_ = 1;  // these four need a restart to change
  std::string user_, data_file_, control_socket_;
  Memory memory_;
  std::optional<Memory> retired_;  // until the answerer has left it
  // Not the zeros: counted before memory_ was made; found in it when we were born, a predecessor's.
  std::map<std::string, std::uint64_t> queries_before_, queries_found_;
  std::vector<std::uint32_t> adopted_;  // slots as a predecessor left them, see write_slot()
  Instant adopted_until_;               // however little is known of them then
  std::optional<health::Directory> directory_;
  std::optional<net::Mailbox<store::Loaded>> late_;  // outlives the store, which posts to it
  std::optional<store::Store> store_;
  std::optional<AcceptedCopy> copy_;
  MovedCandidates moved_;  // since the rows in the store were written
  std::optional<probe::Prober> prober_;
  std::optional<probe::Resolver> resolver_;
  std::optional<UpstreamSource> upstream_source_;
  std::vector<IpPort> upstreams_;
  std::optional<NetworkWatch> network_;
  Ways ways_;
  bool has_unseen_ways_ = false;      // there are more than are followed
  Rounds rounds_, rounds_elsewhere_;  // of changes that concern our ways, and of others
  store::ClockStep clock_step_, sleep_;
  Instant lost_at_{}, first_round_since_{}, history_due_{};
  std::vector<store::Sample> samples_;
  std::deque<std::uint32_t> dirty_;             // slots whose state is to be written, the oldest first
  std::vector<bool> is_dirty_, is_counting_;    // by slot: is in dirty_; has observations that are not written
  std::uint32_t next_counted_ = 0;              // where look_at_counters() goes on
  std::vector<std::uint64_t> written_queries_;  // as last given to the store, by slot
  Duration trim_delay_{};
  bool stands_back_for_start_ = true, is_stopping_ = false, has_slept_ = false;
  bool ready_ = false, network_lost_ = false, reload_to_report_ = false;
  std::deque<net::Message> postponed_;  // came while we waited for another message
  std::unique_ptr<net::Watch> keeper_watch_;
  net::Timer beat_timer_, tick_, flush_, adopt_, trim_, look_, fresh_round_;
};

}  // namespace har::app
