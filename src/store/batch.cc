#include "store/batch.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>

namespace har::store {
namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T> more) {
  if (to.empty()) {
    to = std::move(more);
    return;
  }
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

template <class T>
std::size_t drop_first(std::vector<T>& from, std::size_t count) {
  count = std::min(count, from.size());
  from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

}  // namespace

StateRows StateRows::of(std::vector<NameRow> names, std::vector<EndpointRow> endpoints, const Moment& at) {
  StateRows rows{{}, at};
  for (NameRow& row : names) rows.names[std::move(row.name)].queries = row.queries;
  for (EndpointRow& row : endpoints) rows.names[row.report.name].endpoints.push_back(std::move(row));
  return rows;
}

void Batch::add_state(StateRows rows) {
  if (!state) {
    state = std::move(rows);
    return;
  }
  for (auto& [name, newest] : rows.names) state->names.insert_or_assign(name, std::move(newest));
  state->at = rows.at;
}

void Batch::add_events(std::vector<EventRow> more) {
  append(events, std::move(more));
  drop_beyond(kMaxRows);
}

void Batch::add_samples(std::vector<Sample> more) {
  append(samples, std::move(more));
  drop_beyond(kMaxRows);
}

void Batch::forget_others(std::vector<std::string> names) {
  if (state) {
    // A state that was put before must not bring back what is forgotten now.
    const std::unordered_set<std::string> kept(names.begin(), names.end());
    std::erase_if(state->names, [&](const auto& entry) { return !kept.contains(entry.first); });
  }
  keep_names = std::move(names);
}

void Batch::put_back(Batch older) {
  if (state && older.state) {
    std::swap(*state, *older.state);
    add_state(std::move(*older.state));
  } else if (older.state) {
    state = std::move(older.state);
  }
  if (keep_names) {
    forget_others(std::move(*keep_names));
  } else {
    keep_names = std::move(older.keep_names);
  }
  append(older.events, std::move(events));
  append(older.samples, std::move(samples));
  events = std::move(older.events);
  samples = std::move(older.samples);
  dropped_events += older.dropped_events;
  dropped_samples += older.dropped_samples;
  drop_beyond(kMaxRows);
}

void Batch::drop_beyond(std::size_t max_rows) {
  const std::size_t rows = events.size() + samples.size();
  if (rows <= max_rows) return;
  // A tenth more than must be, or each row that comes would move all the others.
  const std::size_t excess = std::min(rows, rows - max_rows + max_rows / 10);
  const std::size_t from_samples = drop_first(samples, excess);
  dropped_samples += from_samples;
  if (events.size() > max_rows) dropped_events += drop_first(events, excess - from_samples);
}

}  // namespace har::store
