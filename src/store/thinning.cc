#include "store/thinning.h"

#include <fmt/format.h>

#include <algorithm>

namespace har::store {
namespace {

constexpr std::int64_t kSlice = 6 * 3600;  // seconds; a multiple of every bucket
constexpr std::int64_t kRowsAtOnce = 20'000;

// True when there were no more rows beyond the bound than were removed.
bool keep_last(SQLite::Database& database, const char* table, std::int64_t bound) {
  const std::int64_t rows = database.execAndGet(fmt::format("SELECT count(*) FROM {}", table)).getInt64();
  if (rows <= bound) return true;
  const std::int64_t excess = std::min(rows - bound, kRowsAtOnce);
  database.exec(
      fmt::format("DELETE FROM {0} WHERE rowid IN (SELECT rowid FROM {0} ORDER BY rowid LIMIT {1})", table, excess));
  return rows - bound <= kRowsAtOnce;
}

std::int64_t oldest_sample(SQLite::Database& database, std::int64_t otherwise) {
  const SQLite::Column oldest = database.execAndGet("SELECT min(time) FROM samples");
  if (oldest.isNull()) return otherwise;
  // The clamp is for a file that says nonsense: the conversion must be defined.
  return static_cast<std::int64_t>(std::clamp(oldest.getDouble(), 0.0, static_cast<double>(otherwise)));
}

void thin(SQLite::Database& database, std::int64_t from, std::int64_t to, std::int64_t bucket) {
  SQLite::Statement statement(database,
                              "DELETE FROM samples WHERE time >= ?1 AND time < ?2 AND rowid NOT IN ("
                              "SELECT min(rowid) FROM samples WHERE time >= ?1 AND time < ?2 "
                              "GROUP BY name, candidate, address, outcome, CAST(time / ?3 AS INTEGER))");
  statement.bind(1, static_cast<double>(from));
  statement.bind(2, static_cast<double>(to));
  statement.bind(3, static_cast<double>(bucket));
  statement.exec();
}

// True when nothing that is too old is left.
bool remove_old(SQLite::Database& database, std::int64_t before) {
  return database.exec(
             fmt::format("DELETE FROM samples WHERE rowid IN (SELECT rowid FROM samples WHERE time < {} LIMIT {})",
                         before, kRowsAtOnce)) < kRowsAtOnce;
}

}  // namespace

Attempt<bool> Thinning::step(Connection& connection, WallTime now) {
  const std::int64_t now_seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  auto done_until = done_until_;
  auto result = attempt("thin samples", [&] {
    SQLite::Database& database = connection.sql();
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    bool is_all = keep_last(database, "samples", bounds_.samples);
    is_all = keep_last(database, "events", bounds_.events) && is_all;
    is_all = remove_old(database, now_seconds - std::chrono::seconds(kSamplesMaxAge).count()) && is_all;
    for (std::size_t i = 0; i < kLevels.size(); ++i) {
      const std::int64_t bucket = kLevels[i].bucket.count();
      const std::int64_t end = (now_seconds - kLevels[i].age.count()) / bucket * bucket;
      // Whole buckets only, so that two steps never share one. After a clock's step back `done` lies ahead of `end`:
      // what is written meanwhile is thinned when the process starts again, or bounded by number.
      std::int64_t from = done_until[i] != 0 ? done_until[i] : oldest_sample(database, end) / kSlice * kSlice;
      const std::int64_t to = std::min(end, from + kSlice);
      if (from < to) thin(database, from, to, bucket);
      done_until[i] = std::max(from, to);
      is_all = is_all && to >= end;
    }
    transaction.commit();
    return is_all;
  });
  if (result) done_until_ = done_until;
  return result;
}

}  // namespace har::store
