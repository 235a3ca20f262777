// Between our values and the rows of the tables: reading what a file says, writing a batch. Only endpoint rows that
// have changed are written. Not for: when to write, what to do about a failure (session.h, store.cc). Thread: the
// store's thread.  Tested by: store_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/batch.h"
#include "store/row_clock.h"
#include "store/sqlite.h"

namespace har::store {

// An age that cannot be told (never checked), and the upper bound of all others.
inline constexpr std::chrono::hours kAges{24 * 365 * 10};

// What a file says, with ages as of `at`. Rows that make no sense are left out; a time in the future is age 0.
Loaded load(SQLite::Database& database, const Moment& at);
History read_history(SQLite::Database& database, const HistoryQuery& query);

class Rows {
 public:
  explicit Rows(
      SQLite::Database& database);  // requires: the schema; prepares every statement, so throws where it is not so

  // One transaction. Throws SQLite::Exception; then nothing has been written.
  void write(const Batch& batch);
  // What the file says, to be written into another one. Throws SQLite::Exception.
  StateRows read_back(const Moment& at);

 private:
  // What the file holds of one name. Digests, not the rows themselves: with many endpoints they were as much memory as
  // all that is known of their health.
  struct Known {
    struct Endpoint {
      std::uint64_t key = 0;     // of candidate and address
      std::uint64_t digest = 0;  // of what we last wrote; 0: was there when the file was opened
      bool operator==(const Endpoint&) const = default;
    };
    std::vector<Endpoint> endpoints;
    bool has_row = false;                  // in table names
    std::optional<std::uint64_t> queries;  // as we last wrote it
  };
  struct Difference {
    struct Name {
      const std::string* name = nullptr;
      Known after;
      bool is_queries_changed = false;
      std::vector<const EndpointRow*> changed;
      const std::vector<EndpointRow>* all = nullptr;  // where some of the file's are not among them any more
    };
    std::vector<Name> names;
    std::vector<std::string> forgotten;
    bool is_empty() const { return names.empty() && forgotten.empty(); }
  };
  Difference difference(const Batch& batch) const;
  void delete_others(const std::string& name, const std::vector<EndpointRow>& endpoints);
  void write_endpoint(const EndpointRow& row, const StateRows& state);
  void write_event(const EventRow& row);
  void write_sample(const Sample& sample);

  SQLite::Database& database_;
  RowClock clock_;
  SQLite::Statement put_name_, put_endpoint_, put_event_, put_sample_;
  SQLite::Statement delete_name_, delete_endpoints_, list_endpoints_, delete_endpoint_;
  std::unordered_map<std::string, Known> known_;
};

}  // namespace har::store
