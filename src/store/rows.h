// Between our values and the rows of the tables: reading what a file says, writing a batch. Only endpoint rows that
// have changed are written. Not for: when to write, what to do about a failure (session.h, store.cc). Thread: the
// store's thread.  Tested by: store_test.cc
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/batch.h"
#include "store/sqlite.h"

namespace har::store {

// An age that cannot be told (never checked), and the upper bound of all others.
inline constexpr std::chrono::hours kAges{24 * 365 * 10};

// What a file says, with ages as of `wall`. Rows that make no sense are left out; a time in the future is age 0.
Loaded load(SQLite::Database& database, WallTime wall);
History read_history(SQLite::Database& database, const HistoryQuery& query);

class Rows {
 public:
  explicit Rows(
      SQLite::Database& database);  // requires: the schema; prepares every statement, so throws where it is not so

  // One transaction. Throws SQLite::Exception; then nothing has been written.
  void write(const Batch& batch);
  // What the file says, to be written into another one; `now` and `wall` are one moment. Throws SQLite::Exception.
  StateRows read_back(Instant now, WallTime wall);

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // name, candidate, address
  static Key key_of(const EndpointRow& row);
  struct Difference {
    struct Changed {
      Key key;
      const EndpointRow* row;
      std::uint64_t digest;
    };
    std::vector<Changed> changed;
    std::vector<Key> gone;
    std::vector<std::pair<std::string, std::uint64_t>> names;
    std::vector<std::string> names_gone;
    bool is_empty() const { return changed.empty() && gone.empty() && names.empty() && names_gone.empty(); }
  };
  Difference difference(const Batch& batch) const;
  void write_endpoint(const EndpointRow& row, const StateRows& state);
  void write_event(const EventRow& row);
  void write_sample(const Sample& sample);
  void remember(const Difference& difference);

  SQLite::Database& database_;
  SQLite::Statement put_name_, put_endpoint_, put_event_, put_sample_, delete_name_, delete_endpoint_;
  // A digest of what we last wrote of each row; 0 for those that were there when the file was opened. Not the rows
  // themselves: with many endpoints they were as much memory as all that is known of their health.
  std::map<Key, std::uint64_t> endpoints_;
  std::unordered_map<std::string, std::optional<std::uint64_t>> names_;
};

}  // namespace har::store
