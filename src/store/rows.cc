#include "store/rows.h"

#include <algorithm>
#include <unordered_set>

#include "store/digest.h"
#include "store/values.h"

namespace har::store {
namespace {

using std::chrono::microseconds;

std::optional<WallTime> time_of(const SQLite::Column& time) {
  return time.isNull() ? std::nullopt : std::optional(wall_time(time.getDouble()));
}

Duration age_of(const SQLite::Column& time, WallTime wall) {
  if (time.isNull()) return kAges;
  const microseconds age = wall - wall_time(time.getDouble());
  // A time in the future comes from a clock that was wrong, then or now: better taken for fresh than thrown away.
  return std::clamp<microseconds>(age, microseconds(0), kAges);  // before it becomes nanoseconds, which have less room
}

Duration micros(const SQLite::Column& column) {
  return microseconds(std::clamp<std::int64_t>(column.getInt64(), 0, microseconds(std::chrono::hours(1)).count()));
}

std::int64_t micros(Duration time) { return std::chrono::duration_cast<microseconds>(time).count(); }

std::uint64_t count(const SQLite::Column& column) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, column.getInt64()));
}

// sqlite's integers are signed.
std::int64_t stored(std::uint64_t n) { return static_cast<std::int64_t>(n & 0x7FFF'FFFF'FFFF'FFFFULL); }

health::State state_of(const std::string& text) {
  for (const auto state : {health::State::kUp, health::State::kDown}) {
    if (text == health::word(state)) return state;
  }
  return health::State::kUnknown;
}

health::Outcome outcome_of(const std::string& text) {
  using health::Outcome;
  for (const auto outcome : {Outcome::kOk, Outcome::kTimeout, Outcome::kConnectError, Outcome::kResponseError}) {
    if (text == health::word(outcome)) return outcome;
  }
  return Outcome::kOtherError;
}

void bind_time(SQLite::Statement& statement, int index, const std::optional<Instant>& time, const StateRows& state) {
  if (!time) {
    statement.bind(index);
    return;
  }
  const auto since = std::chrono::duration_cast<microseconds>(*time - state.at.now);
  statement.bind(index, seconds_of(state.at.wall + since));
}

void bind_text(SQLite::Statement& statement, int index, const std::string& text) {
  if (text.empty()) {
    statement.bind(index);
  } else {
    statement.bind(index, text);
  }
}

// Leaves a statement ready for its next use, also when it throws.
struct Reset {
  SQLite::Statement& statement;
  ~Reset() { statement.tryReset(); }
};

void run(SQLite::Statement& statement) {
  const Reset reset{statement};
  statement.exec();
}

}  // namespace

Loaded load(SQLite::Database& database, const Moment& at) {
  const RowClock clock(database);
  Loaded loaded;
  SQLite::Statement names(database, "SELECT name, queries FROM names");
  while (names.executeStep()) {
    loaded.names.push_back({names.getColumn(0).getString(), count(names.getColumn(1))});
  }
  SQLite::Statement rows(database,
                         "SELECT name, candidate, address, state, admin, chosen, connect_time, response_time, "
                         "last_check_time, last_success_time, successes, timeouts, connect_errors, response_errors, "
                         "other_errors FROM candidates");
  while (rows.executeStep()) {
    const auto address = IpAddress::parse(rows.getColumn(2).getString());
    if (!address) continue;
    health::StoredEndpoint endpoint;
    endpoint.name = rows.getColumn(0).getString();
    endpoint.candidate = rows.getColumn(1).getString();
    endpoint.address = *address;
    endpoint.state = state_of(rows.getColumn(3).getString());
    endpoint.drained = rows.getColumn(4).getString() == "drained";
    endpoint.chosen = rows.getColumn(5).getInt() != 0;
    endpoint.connect_time = micros(rows.getColumn(6));
    endpoint.response_time = micros(rows.getColumn(7));
    const WallTime wall = clock.wall_for(time_of(rows.getColumn(8)), at);
    endpoint.age = age_of(rows.getColumn(8), wall);
    if (!rows.getColumn(9).isNull()) endpoint.since_success = age_of(rows.getColumn(9), wall);
    endpoint.successes = count(rows.getColumn(10));
    endpoint.timeouts = count(rows.getColumn(11));
    endpoint.connect_errors = count(rows.getColumn(12));
    endpoint.response_errors = count(rows.getColumn(13));
    endpoint.other_errors = count(rows.getColumn(14));
    loaded.endpoints.push_back(std::move(endpoint));
  }
  return loaded;
}

History read_history(SQLite::Database& database, const HistoryQuery& query) {
  const auto bind = [&](SQLite::Statement& statement) {
    statement.bind(1, query.name);
    statement.bind(2, seconds_of(query.since));
    statement.bind(3, seconds_of(query.until));
    statement.bind(4, static_cast<std::int64_t>(std::min<std::size_t>(query.limit, 1'000'000)));
  };
  History history;
  SQLite::Statement events(database,
                           "SELECT time, name, candidate, address, kind, old, new, reason FROM events "
                           "WHERE (?1 = '' OR name = ?1) AND time >= ?2 AND time < ?3 "
                           "ORDER BY time DESC, rowid DESC LIMIT ?4");
  bind(events);
  while (events.executeStep()) {
    EventRow row{wall_time(events.getColumn(0).getDouble()), {}};
    row.event.name = events.getColumn(1).getString();
    row.event.candidate = events.getColumn(2).getString();
    row.event.address = IpAddress::parse(events.getColumn(3).getString());
    row.event.kind =
        events.getColumn(4).getString() == "choice" ? health::EventKind::kChoice : health::EventKind::kState;
    row.event.old_value = events.getColumn(5).getString();
    row.event.new_value = events.getColumn(6).getString();
    row.event.reason = events.getColumn(7).getString();
    history.events.push_back(std::move(row));
  }
  std::reverse(history.events.begin(), history.events.end());
  if (!query.with_samples) return history;
  SQLite::Statement samples(database,
                            "SELECT time, name, candidate, address, connect_time, response_time, outcome FROM samples "
                            "WHERE (?1 = '' OR name = ?1) AND time >= ?2 AND time < ?3 "
                            "ORDER BY time DESC, rowid DESC LIMIT ?4");
  bind(samples);
  while (samples.executeStep()) {
    const auto address = IpAddress::parse(samples.getColumn(3).getString());
    if (!address) continue;
    history.samples.push_back({wall_time(samples.getColumn(0).getDouble()), samples.getColumn(1).getString(),
                               samples.getColumn(2).getString(), *address, micros(samples.getColumn(4)),
                               micros(samples.getColumn(5)), outcome_of(samples.getColumn(6).getString())});
  }
  std::reverse(history.samples.begin(), history.samples.end());
  return history;
}

Rows::Rows(SQLite::Database& database)
    : database_(database),
      clock_(database),
      put_name_(database, "INSERT OR REPLACE INTO names (name, queries) VALUES (?, ?)"),
      put_endpoint_(database,
                    // A time that was once known never becomes "never" again: a process that has just started, and has
                    // not checked yet, must not make what is stored worthless.
                    "INSERT INTO candidates (name, candidate, address, state, admin, chosen, successes, timeouts, "
                    "connect_errors, response_errors, other_errors, dns_successes, dns_timeouts, dns_errors, "
                    "last_check_time, last_success_time, last_failure_time, last_check_status, connect_time, "
                    "response_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET state = excluded.state, admin = excluded.admin, "
                    "chosen = excluded.chosen, successes = excluded.successes, timeouts = excluded.timeouts, "
                    "connect_errors = excluded.connect_errors, response_errors = excluded.response_errors, "
                    "other_errors = excluded.other_errors, dns_successes = excluded.dns_successes, "
                    "dns_timeouts = excluded.dns_timeouts, dns_errors = excluded.dns_errors, "
                    "last_check_time = coalesce(excluded.last_check_time, last_check_time), "
                    "last_success_time = coalesce(excluded.last_success_time, last_success_time), "
                    "last_failure_time = coalesce(excluded.last_failure_time, last_failure_time), "
                    "last_check_status = coalesce(excluded.last_check_status, last_check_status), "
                    "connect_time = excluded.connect_time, response_time = excluded.response_time"),
      put_event_(database,
                 "INSERT INTO events (time, name, candidate, address, kind, old, new, reason) "
                 "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
      put_sample_(database,
                  "INSERT INTO samples (time, name, candidate, address, connect_time, response_time, outcome) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?)"),
      delete_name_(database, "DELETE FROM names WHERE name = ?"),
      delete_endpoints_(database, "DELETE FROM candidates WHERE name = ?"),
      list_endpoints_(database, "SELECT candidate, address FROM candidates WHERE name = ?"),
      delete_endpoint_(database, "DELETE FROM candidates WHERE name = ? AND candidate = ? AND address = ?") {
  SQLite::Statement endpoints(database, "SELECT name, candidate, address FROM candidates");
  while (endpoints.executeStep()) {
    known_[endpoints.getColumn(0).getString()].endpoints.push_back(
        {key_of(endpoints.getColumn(1).getString(), endpoints.getColumn(2).getString()), 0});
  }
  const SQLite::Statement clock(database, "SELECT boot, boot_time FROM clock");  // a file without it is damaged
  SQLite::Statement names(database, "SELECT name FROM names");
  while (names.executeStep()) known_[names.getColumn(0).getString()].has_row = true;
}

Rows::Difference Rows::difference(const Batch& batch) const {
  static const std::unordered_map<std::string, StateRows::Name> kNone;
  static const Known kUnknown;
  const auto& state = batch.state ? batch.state->names : kNone;
  Difference out;
  for (const auto& [name, rows] : state) {
    const auto found = known_.find(name);
    const Known& known = found == known_.end() ? kUnknown : found->second;
    Difference::Name one;
    one.name = &name;
    one.after.has_row = known.has_row;
    one.after.queries = known.queries;
    if (rows.queries && known.queries != rows.queries) {
      one.is_queries_changed = one.after.has_row = true;
      one.after.queries = rows.queries;
    }
    std::size_t kept = 0;
    for (const EndpointRow& row : rows.endpoints) {
      const Known::Endpoint now{key_of(row.report.candidate, row.report.address.to_string()), digest_of(row)};
      const auto before = std::find_if(known.endpoints.begin(), known.endpoints.end(),
                                       [&](const Known::Endpoint& endpoint) { return endpoint.key == now.key; });
      if (before != known.endpoints.end()) ++kept;
      if (before == known.endpoints.end() || before->digest != now.digest) one.changed.push_back(&row);
      one.after.endpoints.push_back(now);
    }
    if (kept < known.endpoints.size()) one.all = &rows.endpoints;
    if (one.is_queries_changed || !one.changed.empty() || one.all != nullptr) out.names.push_back(std::move(one));
  }
  if (!batch.keep_names) return out;
  const std::unordered_set<std::string> kept(batch.keep_names->begin(), batch.keep_names->end());
  for (const auto& [name, known] : known_) {
    if (!kept.contains(name) && !state.contains(name)) out.forgotten.push_back(name);
  }
  return out;
}

void Rows::write(const Batch& batch) {
  const auto is_clock_new = [&] {
    if (!batch.state) return false;
    clock_.read();
    return clock_.is_to_be_written(batch.state->at);
  };
  Difference changes = difference(batch);
  if (changes.is_empty() && batch.events.empty() && batch.samples.empty() && !is_clock_new()) return;
  SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
  if (is_clock_new()) clock_.write(batch.state->at);
  for (const std::string& name : changes.forgotten) {
    for (SQLite::Statement* const statement : {&delete_name_, &delete_endpoints_}) {
      statement->bind(1, name);
      run(*statement);
    }
  }
  for (const Difference::Name& one : changes.names) {
    if (one.all != nullptr) delete_others(*one.name, *one.all);
    if (one.is_queries_changed) {
      put_name_.bind(1, *one.name);
      put_name_.bind(2, stored(*one.after.queries));
      run(put_name_);
    }
    for (const EndpointRow* row : one.changed) write_endpoint(*row, *batch.state);
  }
  for (const EventRow& row : batch.events) write_event(row);
  for (const Sample& sample : batch.samples) write_sample(sample);
  transaction.commit();
  for (const std::string& name : changes.forgotten) known_.erase(name);
  for (Difference::Name& one : changes.names) {
    one.after.endpoints.shrink_to_fit();
    known_[*one.name] = std::move(one.after);
  }
}

// The name's rows in the file that are not among these.
void Rows::delete_others(const std::string& name, const std::vector<EndpointRow>& endpoints) {
  std::vector<std::pair<std::string, std::string>> others;
  {
    const Reset reset{list_endpoints_};
    list_endpoints_.bind(1, name);
    while (list_endpoints_.executeStep()) {
      std::pair one{list_endpoints_.getColumn(0).getString(), list_endpoints_.getColumn(1).getString()};
      const bool is_kept = std::any_of(endpoints.begin(), endpoints.end(), [&](const EndpointRow& row) {
        return row.report.candidate == one.first && row.report.address.to_string() == one.second;
      });
      if (!is_kept) others.push_back(std::move(one));
    }
  }
  for (const auto& [candidate, address] : others) {
    delete_endpoint_.bind(1, name);
    delete_endpoint_.bind(2, candidate);
    delete_endpoint_.bind(3, address);
    run(delete_endpoint_);
  }
}

void Rows::write_endpoint(const EndpointRow& row, const StateRows& state) {
  const health::EndpointReport& report = row.report;
  SQLite::Statement& s = put_endpoint_;
  s.bind(1, report.name);
  s.bind(2, report.candidate);
  s.bind(3, report.address.to_string());
  s.bind(4, std::string(health::word(report.state)));
  s.bind(5, report.drained ? "drained" : "auto");
  s.bind(6, report.chosen ? 1 : 0);
  s.bind(7, stored(report.successes));
  s.bind(8, stored(report.timeouts));
  s.bind(9, stored(report.connect_errors));
  s.bind(10, stored(report.response_errors));
  s.bind(11, stored(report.other_errors));
  s.bind(12, stored(row.dns_successes));
  s.bind(13, stored(row.dns_timeouts));
  s.bind(14, stored(row.dns_errors));
  bind_time(s, 15, report.last_check, state);
  bind_time(s, 16, report.last_success, state);
  bind_time(s, 17, report.last_failure, state);
  bind_text(s, 18, report.last_status);
  s.bind(19, micros(report.connect_time));
  s.bind(20, micros(report.response_time));
  run(s);
}

void Rows::write_event(const EventRow& row) {
  SQLite::Statement& s = put_event_;
  s.bind(1, seconds_of(row.time));
  s.bind(2, row.event.name);
  bind_text(s, 3, row.event.candidate);
  bind_text(s, 4, row.event.address ? row.event.address->to_string() : std::string());
  s.bind(5, row.event.kind == health::EventKind::kState ? "state" : "choice");
  s.bind(6, row.event.old_value);
  s.bind(7, row.event.new_value);
  s.bind(8, row.event.reason);
  run(s);
}

void Rows::write_sample(const Sample& sample) {
  SQLite::Statement& s = put_sample_;
  s.bind(1, seconds_of(sample.time));
  s.bind(2, sample.name);
  s.bind(3, sample.candidate);
  s.bind(4, sample.address.to_string());
  s.bind(5, micros(sample.connect_time));
  s.bind(6, micros(sample.response_time));
  s.bind(7, std::string(health::word(sample.outcome)));
  run(s);
}

StateRows Rows::read_back(const Moment& at) {
  clock_.read();
  StateRows rows{{}, at};
  SQLite::Statement names(database_, "SELECT name, queries FROM names");
  while (names.executeStep()) rows.names[names.getColumn(0).getString()].queries = count(names.getColumn(1));
  SQLite::Statement endpoints(database_,
                              "SELECT name, candidate, address, state, admin, chosen, successes, timeouts, "
                              "connect_errors, response_errors, other_errors, dns_successes, dns_timeouts, dns_errors, "
                              "last_check_time, last_success_time, last_failure_time, last_check_status, connect_time, "
                              "response_time FROM candidates");
  WallTime wall;  // for the row
  const auto time = [&](int column) -> std::optional<Instant> {
    if (endpoints.getColumn(column).isNull()) return std::nullopt;
    return at.now - age_of(endpoints.getColumn(column), wall);
  };
  while (endpoints.executeStep()) {
    const auto address = IpAddress::parse(endpoints.getColumn(2).getString());
    if (!address) continue;
    EndpointRow row;
    health::EndpointReport& report = row.report;
    report.name = endpoints.getColumn(0).getString();
    report.candidate = endpoints.getColumn(1).getString();
    report.address = *address;
    report.state = state_of(endpoints.getColumn(3).getString());
    report.drained = endpoints.getColumn(4).getString() == "drained";
    report.chosen = endpoints.getColumn(5).getInt() != 0;
    int column = 6;
    for (auto* counter : {&report.successes, &report.timeouts, &report.connect_errors, &report.response_errors,
                          &report.other_errors, &row.dns_successes, &row.dns_timeouts, &row.dns_errors}) {
      *counter = count(endpoints.getColumn(column++));
    }
    wall = clock_.wall_for(time_of(endpoints.getColumn(14)), at);
    report.last_check = time(14);
    report.last_success = time(15);
    report.last_failure = time(16);
    report.last_status = endpoints.getColumn(17).getString();
    report.connect_time = micros(endpoints.getColumn(18));
    report.response_time = micros(endpoints.getColumn(19));
    rows.names[report.name].endpoints.push_back(std::move(row));
  }
  return rows;
}

}  // namespace har::store
