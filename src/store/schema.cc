#include "store/schema.h"

#include <fmt/format.h>

#include <array>

namespace har::store {
namespace {

using Kind = Failure::Kind;

// Step i makes a file of version i one of version i + 1. A step that was ever released is never changed: add another.
constexpr std::array<const char*, kSchemaVersion> kSteps = {
    R"(
CREATE TABLE names (
  name TEXT PRIMARY KEY NOT NULL,
  queries INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE candidates (
  name TEXT NOT NULL,
  candidate TEXT NOT NULL,
  address TEXT NOT NULL,
  state TEXT NOT NULL,
  admin TEXT NOT NULL,
  chosen INTEGER NOT NULL,
  successes INTEGER NOT NULL,
  timeouts INTEGER NOT NULL,
  connect_errors INTEGER NOT NULL,
  response_errors INTEGER NOT NULL,
  other_errors INTEGER NOT NULL,
  dns_successes INTEGER NOT NULL,
  dns_timeouts INTEGER NOT NULL,
  dns_errors INTEGER NOT NULL,
  last_check_time REAL,            -- unix seconds
  last_success_time REAL,          -- unix seconds
  last_failure_time REAL,          -- unix seconds
  last_check_status TEXT,
  connect_time INTEGER NOT NULL,   -- microseconds
  response_time INTEGER NOT NULL,  -- microseconds
  PRIMARY KEY (name, candidate, address)
) WITHOUT ROWID;
CREATE TABLE events (
  time REAL NOT NULL,  -- unix seconds
  name TEXT NOT NULL,
  candidate TEXT,
  address TEXT,
  kind TEXT NOT NULL,
  old TEXT NOT NULL,
  new TEXT NOT NULL,
  reason TEXT NOT NULL
);
CREATE TABLE samples (
  time REAL NOT NULL,              -- unix seconds
  name TEXT NOT NULL,
  candidate TEXT NOT NULL,
  address TEXT NOT NULL,
  connect_time INTEGER NOT NULL,   -- microseconds
  response_time INTEGER NOT NULL,  -- microseconds
  outcome TEXT NOT NULL
);
)",
    // Thinning and `har history` go by time.
    R"(
CREATE INDEX samples_time ON samples (time);
CREATE INDEX events_time ON events (time);
)",
    // How old a row is, also after a step of the wall clock.
    R"(
CREATE TABLE clock (
  boot INTEGER NOT NULL,
  boot_time REAL NOT NULL  -- unix seconds
);
)",
};

int pragma(SQLite::Database& database, const char* name) {
  return database.execAndGet(fmt::format("PRAGMA {}", name)).getInt();
}

struct Look {
  int version = 0;
  bool is_ours = false;
  bool is_empty = false;
};

Look look_at(SQLite::Database& database) {
  Look look;
  look.version = pragma(database, "user_version");
  look.is_ours = pragma(database, "application_id") == kApplicationId;
  look.is_empty = database.execAndGet("SELECT count(*) FROM sqlite_master").getInt() == 0;
  return look;
}

}  // namespace

void make_schema(SQLite::Database& database, int version) {
  for (int i = pragma(database, "user_version"); i < version; ++i) database.exec(kSteps[static_cast<std::size_t>(i)]);
  database.exec(fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", kApplicationId, version));
}

Attempt<int> migrate(Connection& connection) {
  const std::string file = connection.sql().getFilename();
  const auto look = attempt(fmt::format("read {}", file), [&] { return look_at(connection.sql()); });
  if (!look) return tl::unexpected(look.error());
  const bool is_fresh = look->is_empty && look->version == 0;
  if (!is_fresh && !look->is_ours) {
    return failed(Kind::kForeign, fmt::format("{} is another program's database: it is left alone", file));
  }
  if (look->version > kSchemaVersion) {
    return failed(Kind::kForeign,
                  fmt::format("{} was written by a newer version ({}; this one knows {}): it is left alone", file,
                              look->version, kSchemaVersion));
  }
  if (look->version < 1 && !is_fresh) return failed(Kind::kCorrupt, fmt::format("{} has no version", file));
  if (auto prepared = connection.prepare_to_write(); !prepared) return tl::unexpected(prepared.error());
  if (look->version < kSchemaVersion) {
    const auto done = attempt(fmt::format("migrate {}", file), [&] {
      SQLite::Transaction transaction(connection.sql(), SQLite::TransactionBehavior::IMMEDIATE);
      make_schema(connection.sql(), kSchemaVersion);
      transaction.commit();
    });
    if (!done) return tl::unexpected(done.error());
  }
  return look->version;
}

Attempt<bool> is_readable(Connection& connection) {
  return attempt("read", [&] {
    const Look look = look_at(connection.sql());
    return look.is_ours && look.version >= 1 && look.version <= kSchemaVersion;
  });
}

}  // namespace har::store
