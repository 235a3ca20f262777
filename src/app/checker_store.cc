// What the checker keeps on disk, and what it had kept there before: between the directory, the counters and the store.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/checker.h"
#include "app/config_files.h"
#include "net/clock.h"

namespace har::app {
namespace {

constexpr Duration kFlushInterval = std::chrono::milliseconds(500);
// What is no change of state may wait: rows that were written at every flush cost as much as the checks did.
constexpr Duration kHistoryInterval = std::chrono::seconds(5);
constexpr std::uint32_t kCountersRound = 12;  // of these: each name's counters once a minute
constexpr std::size_t kNamesAtOnce = 2'000;   // bounds what one flush costs with very many names

}  // namespace

void Checker::open_store(Duration patience) {
  for (std::uint32_t slot = 0; slot < memory_.names.size(); ++slot) {
    const std::uint64_t found = memory_.counters->name_total(slot);
    if (found > 0) queries_found_[memory_.names[slot]] = found;
  }
  late_.emplace(loop_, [this](const store::Loaded& late) { take_late(late); });
  store_.emplace(
      data_file_, log_, patience, [this](store::Loaded late) { late_->post(std::move(late)); },
      courtesy_.standing_back());
  count_from(store_->loaded().names);
  store_->forget_others(memory_.names);
  forget_dirty();
}

// The copy of the last accepted configuration says what the stored rows are about. A start only: a reload knows what
// was before.
void Checker::find_moved(const Bundle& bundle) {
  const auto copy = last_accepted(data_file_, config_path_);
  if (!copy || (copy->bundle.files == bundle.files && copy->bundle.variables == bundle.variables)) return;
  if (const auto before = copy->bundle.load(load_options()); before.config) {
    moved_ = moved_candidates(*before.config, *config_);
  }
}

void Checker::count_from(const std::vector<store::NameRow>& stored) {
  for (const auto& row : stored) {
    // After the death of a predecessor the stored counts already hold what stood in the counters' memory.
    const auto found = queries_found_.find(row.name);
    const std::uint64_t before = row.queries - std::min(row.queries, found == queries_found_.end() ? 0 : found->second);
    if (before > 0) queries_before_[row.name] += before;
  }
}

// What the store could not read at the start: locked, slow, not there yet. It has written nothing over it. Or nothing:
// a new file wants to be told all.
void Checker::take_late(store::Loaded late) {
  const Instant now = net::now();
  count_from(late.names);
  forget_moved(moved_, late.endpoints);
  directory_->restore(late.endpoints, now);
  for (const auto& host : directory_->hosts()) {
    if (!host.addresses.empty()) resolver_->remember(host.host, host.addresses);
  }
  store_->late_is_taken();
  for (std::uint32_t slot = 0; slot < memory_.names.size(); ++slot) mark_dirty(slot);
  if (late.endpoints.empty()) return;
  log_.info("stored_state_late", {{"file", data_file_},
                                  {"endpoints", late.endpoints.size()},
                                  {"seconds", fmt::format("{:.1f}", to_seconds(now - born_))}});
  apply_changes();
}

// Slots are counted anew with every configuration.
void Checker::forget_dirty() {
  dirty_.clear();
  is_dirty_.assign(memory_.names.size(), false);
  is_counting_.assign(memory_.names.size(), false);
  written_queries_.assign(memory_.names.size(), 0);
}

void Checker::mark_dirty(std::uint32_t slot) {
  if (is_dirty_[slot]) return;
  is_dirty_[slot] = true;
  dirty_.push_back(slot);
}

// What is on disk says when by the wall clock: after a step the store moves it, which it does when it is given a state.
void Checker::look_at_clocks() {
  const auto at = store::Moment::current();
  // Who slept has asked everybody anew, and knows it sooner than the file, which would be hours behind for a minute.
  const WallTime since_boot(std::chrono::duration_cast<WallTime::duration>(at.since_boot.time_since_epoch()));
  if (sleep_.look(at.now, since_boot) != Duration::zero()) {
    has_slept_ = true;
    history_due_ = at.now + kHistoryInterval;
  }
  const Duration step = clock_step_.look(at.since_boot, at.wall);
  if (step == Duration::zero()) return;
  log_.warning("clock_stepped", {{"seconds", fmt::format("{:.0f}", to_seconds(step))}});
  store_->put_state({}, {}, at);
}

void Checker::on_flush() {
  look_at_clocks();
  if (const Instant now = net::now(); now >= history_due_) {
    history_due_ = now + kHistoryInterval;
    put_history();
    look_at_counters(std::exchange(has_slept_, false) ? memory_.names.size()
                                                      : memory_.names.size() / kCountersRound + 1);
  }
  if (samples_.size() > kSamplesAtOnce / 5) put_history();
  put_state(kNamesAtOnce);
  copy_->look();
  flush_.set(kFlushInterval);
}

void Checker::put_history() {
  if (!samples_.empty()) store_->put_samples(std::exchange(samples_, {}));
}

// Of the next so many names those that have counted something are to be written.
void Checker::look_at_counters(std::size_t names) {
  const auto size = static_cast<std::uint32_t>(memory_.names.size());
  for (std::size_t i = 0; i < std::min<std::size_t>(names, size); ++i) {
    const std::uint32_t slot = next_counted_++ % size;
    if (is_counting_[slot] || memory_.counters->name_total(slot) != written_queries_[slot]) mark_dirty(slot);
  }
  if (size > 0) next_counted_ %= size;
}

// The rows of the names that something happened to, at most `limit` names: the longest waiting first.
void Checker::put_state(std::size_t limit) {
  // While the counts of a name stand in two places (a reload is on its way) they are not written.
  if (retired_) return;
  const std::size_t count = std::min(limit, dirty_.size());
  if (count == 0) return;
  std::vector<store::NameRow> names;
  std::vector<store::EndpointRow> rows;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t slot = dirty_[i];
    is_dirty_[slot] = is_counting_[slot] = false;
    written_queries_[slot] = memory_.counters->name_total(slot);
    names.push_back({memory_.names[slot], queries_of(slot)});
    for (auto& report : directory_->report(slot)) rows.push_back(with_dns_counters(slot, std::move(report)));
  }
  dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<std::ptrdiff_t>(count));
  store_->put_state(std::move(names), std::move(rows), store::Moment::current());
}

store::EndpointRow Checker::with_dns_counters(std::uint32_t slot, health::EndpointReport report) const {
  store::EndpointRow row;
  for (const config::Candidate& candidate : config_->names[slot].candidates) {
    if (candidate.title != report.candidate) continue;
    const auto stats = resolver_->stats(candidate.check->host);
    row.dns_successes = stats.successes;
    row.dns_timeouts = stats.timeouts;
    row.dns_errors = stats.errors;
  }
  row.report = std::move(report);
  return row;
}

std::uint64_t Checker::queries_of(std::uint32_t slot) const {
  const auto before = queries_before_.find(memory_.names[slot]);
  return (before == queries_before_.end() ? 0 : before->second) + memory_.counters->name_total(slot);
}

void Checker::fold_retired_counters() {
  if (!retired_) return;
  for (std::uint32_t slot = 0; slot < retired_->names.size(); ++slot) {
    const std::uint64_t total = retired_->counters->name_total(slot);
    if (total > 0) queries_before_[retired_->names[slot]] += total;
  }
  retired_.reset();
}

}  // namespace har::app
