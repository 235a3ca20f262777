// How the checker comes to life: with a configuration from the disk, with the keeper's copy after the death of a
// predecessor, or with a new file while it runs.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/random.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "app/checker.h"
#include "app/checker_rights.h"
#include "app/config_files.h"
#include "app/host_seed.h"
#include "app/process.h"
#include "app/table_plan.h"
#include "config/compact.h"
#include "net/clock.h"
#include "table/reader.h"

namespace har::app {
namespace {

constexpr std::uint64_t kOtherFiles = 32;
constexpr std::uint32_t kLeastProbes = 4;
constexpr const char* kBundleMemory = "har-configuration";
constexpr Duration kFirstTrim = std::chrono::milliseconds(300), kLastTrim = std::chrono::seconds(64);
// A slow disk must not delay the start. Beside an answerer nobody waits for us, and the store's thread stands back,
// too.
constexpr Duration kStorePatience = std::chrono::milliseconds(300);
constexpr Duration kStorePatienceBesideAnAnswerer = std::chrono::seconds(1);
constexpr int kKeeperPatienceMs = 10'000;  // at a start it waits up to 2 s for a port

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    seed = static_cast<std::uint64_t>(net::now().time_since_epoch().count());
  return seed;
}

}  // namespace

std::optional<int> Checker::start() {
  net::Message hello;
  if (keeper_.receive(hello, kKeeperPatienceMs) != net::Channel::Status::kMessage || hello.type != kHello) return 1;
  net::Unpacker fields(hello.body);
  bool resume = fields.number() != 0;
  config_path_ = fields.text();
  generation_ = fields.number();
  user_ = fields.text();
  if (!fields.ok() || (resume && hello.fds.size() != 3)) return 1;
  const bool is_resumed = resume;
  // A bundle is our predecessor's, and hostile bytes may be why that is gone: it is read as the user whom the keeper
  // names, whatever it says itself.
  const bool has_user = is_resumed && !user_.empty();
  Bundle bundle;
  if (const auto code = has_user ? drop_rights(bundle) : std::nullopt) return code;
  std::optional<int> refused;
  // The allocator gives the threads that do something apart the same heaps again and again: one to the outer, with what
  // lives as long as its configuration, and one to the inner. A reload finds room where the configuration before was.
  const auto apart = [&](const std::function<void()>& work) {
    is_resumed ? courtesy_.stand_back_for(work) : do_apart(work);
  };
  apart([&] {
    do_apart([&] { refused = choose_configuration(config_path_, resume, hello, bundle); });
    if (!refused) config_ = config::compact_copy(*config_, nullptr);
  });
  if (refused) return refused;
  log_.set_level(config_->log_level);
  workers_ = config_->workers;
  if (!is_resumed) user_ = config_->user;
  data_file_ = config_->data_file;
  control_socket_ = config_->control_socket;
  if (is_resumed) keep_what_is_in_force(bundle);

  if (resume) resume = resume_memory(hello);
  if (!resume) {
    std::string why_not;
    if (!prepare(*config_, memory_, why_not)) {
      if (!why_not.empty()) log_.error("cannot_start", {{"reason", why_not}});
      return 1;
    }
  }
  if (const auto code = has_user ? std::nullopt : drop_rights(bundle)) return code;
  apart([&] {
    open_store(is_resumed ? kStorePatienceBesideAnAnswerer : kStorePatience);
    copy_.emplace(data_file_, log_);
    const Instant now = net::now();
    directory_.emplace(host_seed(), random_seed());
    beat();
    directory_->configure(config_, now);
    beat();
    if (!is_resumed) find_moved(bundle);
    if (moved_.empty()) {
      directory_->restore(store_->loaded().endpoints, now);
    } else {
      auto endpoints = store_->loaded().endpoints;
      forget_moved(moved_, endpoints);
      directory_->restore(endpoints, now);
    }
    if (resume) doubt_stored();
    start_engines();
    beat();
    if (resume) adopt_table();
  });
  if (!resume) {
    fill_table(memory_);
    const auto text = net::text_to_memory(kBundleMemory, bundle.to_text());
    if (!text) {
      log_.error("cannot_start", {{"reason", text.error().message}});
      return 1;
    }
    commit(*text);
    copy_->keep(std::move(bundle));
  }
  // Not earlier: it takes a millisecond, and the first answer waits for the commit. Not later: from now on we read what
  // others send.
  checker_filter().load(Rights(log_));
  set_hosts(Remember::kYes);
  store_->forget_loaded();
  watch_network();
  trim_.set(trim_delay_ = kFirstTrim);
  log_.info("running",
            {{"names", config_->names.size()}, {"generation", generation_}, {"resumed", resume ? "yes" : "no"}});
  return std::nullopt;
}

// The table of our predecessor, slot by slot, as soon as each can be judged.
void Checker::adopt_table() {
  adopted_.resize(memory_.names.size());
  std::iota(adopted_.begin(), adopted_.end(), 0u);
  adopt_observed_slots();
  memory_.writer->set_upstreams(upstreams_);
  memory_.writer->set_network_lost(false);  // unless watch_network() finds that it is
}

// Asks the keeper for sockets and memory. False: refused, with the reason; or told to stop, without one.
bool Checker::prepare(const config::Config& wanted, Memory& out, std::string& why_not) {
  const table::Plan plan = table_plan(wanted, generation_ + 1);
  Prepare request;
  request.addresses = listen_addresses(wanted);
  request.workers = workers_;
  request.names = static_cast<std::uint32_t>(wanted.names.size());
  request.table_bytes = table::Writer::bytes_needed(plan);
  request.counter_bytes = table::Counters::bytes_needed(workers_, request.names);
  request.user = user_;
  request.log_level = wanted.log_level;
  if (!keeper_.send(kPrepare, request.pack())) {
    why_not = "the keeper does not answer";
    return false;
  }
  const auto answer = wait_for(kPrepared, kRefused);
  if (!answer) {
    const bool told_to_stop = !postponed_.empty() && postponed_.back().type == kStop;
    if (!told_to_stop) why_not = "the keeper does not answer";
    return false;
  }
  if (answer->type == kRefused) {
    why_not = net::Unpacker(answer->body).text();
    return false;
  }
  if (answer->fds.size() != 2) {
    why_not = "the memory of the table did not arrive: too many open files?";
    return false;
  }
  auto table_memory = net::Mapping::map(answer->fds[0], net::Mapping::Mode::kReadWrite);
  auto counters_memory = net::Mapping::map(answer->fds[1], net::Mapping::Mode::kReadWrite);
  if (!table_memory || !counters_memory) {
    why_not = (!table_memory ? table_memory.error() : counters_memory.error()).message;
    return false;
  }
  ++generation_;
  out.table_memory = std::move(*table_memory);
  out.counters_memory = std::move(*counters_memory);
  out.writer.emplace(table::Writer::create(out.table_memory.bytes(), plan));
  out.counters.emplace(out.counters_memory.bytes(), workers_, request.names);
  out.names = host_names(wanted);
  return true;
}

bool Checker::resume_memory(const net::Message& hello) {
  auto table_memory = net::Mapping::map(hello.fds[1], net::Mapping::Mode::kReadWrite);
  auto counters_memory = net::Mapping::map(hello.fds[2], net::Mapping::Mode::kReadWrite);
  if (!table_memory || !counters_memory) return false;
  auto writer = table::Writer::adopt(table_memory->bytes());
  if (!writer) {
    log_.error("table_refused", {{"reason", writer.error().message}});
    return false;
  }
  // A resolv.conf that names nobody but us keeps the last list, and it was our predecessor who had read that.
  if (const auto table = table::Reader::open(table_memory->bytes())) upstreams_ = table->upstreams();
  memory_.table_memory = std::move(*table_memory);
  memory_.counters_memory = std::move(*counters_memory);
  memory_.writer.emplace(*writer);
  memory_.names = host_names(*config_);
  memory_.counters.emplace(memory_.counters_memory.bytes(), workers_, static_cast<std::uint32_t>(memory_.names.size()));
  return true;
}

// The last second of our predecessor is not on disk, but in its table.
void Checker::doubt_stored() {
  const auto table = table::Reader::open(memory_.table_memory.bytes());
  if (!table) return;
  for (std::uint32_t slot = 0; slot < memory_.names.size(); ++slot) {
    table::Reader::View v4, v6;
    if (!table->read(slot, Family::kV4, v4) || !table->read(slot, Family::kV6, v6)) continue;
    directory_->doubt_stored(slot, {v4.answer, v6.answer, v4.ttl, v4.note}, net::now());
  }
}

// Before a thread of ours that stays, and before anything that comes from outside but the configuration.
std::optional<int> Checker::drop_rights(const Bundle& read) {
  std::set<std::string> files;
  for (const auto& file : read.files) files.insert(file.path);
  for (std::size_t i = 0; config_ && i < config_->names.size(); ++i) {
    for (const auto& candidate : config_->names[i].candidates) {
      if (!candidate.check->http->ca_file.empty()) files.insert(candidate.check->http->ca_file);
    }
  }
  const auto dropped = drop_checker_rights(user_, {files.begin(), files.end()}, data_file_, Rights(log_));
  if (dropped) return std::nullopt;
  log_.error("cannot_start", {{"reason", dropped.error().message}});
  return 1;
}

void Checker::start_engines() {
  prober_.emplace(loop_, log_, probe_limits(), random_seed(),
                  [this](health::CheckId check, const health::Observation& o) { on_observed(check, o); });
  resolver_.emplace(
      loop_, log_, [this](const std::string& host, const std::vector<IpAddress>& a) { on_resolved(host, a); },
      [this](const std::string& host, std::string_view) { on_resolution_failed(host); });
  find_upstreams();
  resolver_->set_upstreams(upstreams_, config_->resolver_timeout);
}

// Where few descriptors may be open, checks must leave some to the store, the lookups and the next reload.
probe::ProbeLimits Checker::probe_limits() const {
  const std::uint64_t files = open_files_allowed();
  const auto room =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(files - std::min(files, kOtherFiles), 1U << 20U));
  const std::uint32_t probes = std::max(kLeastProbes, room / 2);  // the other half: connections that are being closed
  if (probes < config_->max_probes_in_flight) {
    log_.warning("probes_limited",
                 {{"to", probes}, {"wanted", config_->max_probes_in_flight}, {"reason", "RLIMIT_NOFILE"}});
  }
  return {std::min(probes, config_->max_probes_in_flight), config_->max_tls_handshakes};
}

void Checker::find_upstreams() {
  upstream_source_.reset();
  if (!config_->nameservers.empty()) {
    upstreams_ = config_->nameservers;
    return;
  }
  upstream_source_.emplace(
      loop_, log_, UpstreamSource::Paths{},
      [this](const IpPort& server) {
        std::vector<IpPort> ours;
        for (const auto& address : listen_addresses(*config_)) ours.push_back(address.at);
        return is_among(ours, server);
      },
      [this](const std::vector<IpPort>& list) { on_upstreams(list); });
  // An empty file keeps the last list, also over a reload.
  if (!upstream_source_->upstreams().empty()) upstreams_ = upstream_source_->upstreams();
}

// `addresses`: those from the store, so that a family whose first question fails does not lose them.
void Checker::set_hosts(Remember addresses) {
  std::vector<health::Directory::Host> known = directory_->hosts();
  std::vector<probe::Resolver::Host> hosts;
  hosts.reserve(known.size());
  for (const auto& host : known) hosts.push_back({host.host, host.frequency});
  resolver_->set_hosts(std::move(hosts));
  if (addresses == Remember::kNo) return;
  for (const auto& host : known) {
    if (!host.addresses.empty()) resolver_->remember(host.host, host.addresses);
  }
}

void Checker::fill_table(Memory& memory) {
  for (std::uint32_t slot = 0; slot < memory.names.size(); ++slot)
    memory.writer->write(slot, directory_->content(slot));
  memory.writer->set_upstreams(upstreams_);
  memory.writer->set_network_lost(network_lost_);
  memory.writer->beat(net::now());
}

void Checker::commit(const net::Fd& bundle_text) {
  keeper_.send(kCommit, net::Packer().number(generation_).body(), {bundle_text.get()});
}

void Checker::reload() {
  config::Loaded loaded;
  do_apart([&] { loaded = load_from_disk(config_path_, load_options()); });
  report_mistakes(loaded);
  if (!loaded.config) {
    log_.error("reload_refused", {{"reason", "mistakes in the file"},
                                  {"mistakes", loaded.mistakes.size()},
                                  {"running_on", "the configuration before"}});
    return;
  }
  beat();
  loaded.config = config::compact_copy(*loaded.config, config_.get());
  Memory fresh;
  std::string why_not;
  const auto refuse = [this](const std::string& reason) {
    log_.error("reload_refused", {{"reason", reason}, {"running_on", "the configuration before"}});
  };
  // Everything that may fail comes first: from fold_retired_counters() on there is no way back.
  Bundle bundle = Bundle::take(config_path_, loaded);
  note_what_needs_a_restart(*loaded.config, bundle);
  const auto text = net::text_to_memory(kBundleMemory, bundle.to_text());
  if (!text) return refuse(text.error().message);
  if (!prepare(*loaded.config, fresh, why_not)) {
    if (!why_not.empty()) refuse(why_not);
    return;
  }
  fold_retired_counters();
  config_ = loaded.config;
  log_.set_level(config_->log_level);
  directory_->configure(config_, net::now());
  beat();
  find_upstreams();
  fill_table(fresh);
  commit(*text);
  adopted_.clear();
  retired_ = std::move(memory_);
  memory_ = std::move(fresh);
  prober_->set_limits(probe_limits());
  prober_->read_ca_files_again();
  resolver_->set_upstreams(upstreams_, config_->resolver_timeout);
  set_hosts(Remember::kNo);
  forget_dirty();
  apply_changes();
  on_network({});
  store_->forget_others(memory_.names);
  copy_->keep(std::move(bundle));
  trim_.set(trim_delay_ = kFirstTrim);
  reload_to_report_ = true;  // when the answerer serves it
}

// A start and a reload hold for a moment several times what stays: the text, its tree, the configuration before. The
// allocator keeps what was freed unless it is told.
void Checker::give_memory_back() {
  malloc_trim(0);
  trim_delay_ *= 2;  // the first round of checks and what the store is given of it leave holes, too
  if (trim_delay_ <= kLastTrim) trim_.set(trim_delay_);
}

std::optional<net::Message> Checker::wait_for(std::uint32_t type, std::uint32_t or_type) {
  const Instant deadline = net::now() + std::chrono::milliseconds(kKeeperPatienceMs);
  while (net::now() < deadline) {
    net::Message message;
    const auto status = keeper_.receive(message, 100);
    if (status == net::Channel::Status::kClosed) return std::nullopt;
    if (status == net::Channel::Status::kNothing) {
      keeper_.send(kBeat, {}, {}, 0);
      continue;
    }
    if (message.type == type || message.type == or_type) return message;
    const bool stop = message.type == kStop;
    postponed_.push_back(std::move(message));
    if (stop) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace har::app
