#include "store/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include "net/clock.h"

namespace har::store {

using Kind = Failure::Kind;

namespace {

constexpr std::uint64_t kCheckpointFrom = 1'000U * 4'096U;  // sqlite's habit: 1,000 pages

}  // namespace

Session::Session(std::string file, Connection connection, int migrated_from)
    : file_(std::move(file)),
      log_file_(real_path(file_) + "-wal"),
      index_file_(real_path(file_) + "-shm"),
      migrated_from_(migrated_from),
      identity_(identity_of(file_)),
      log_identity_(identity_of(log_file_)),
      connection_(std::move(connection)),
      rows_(connection_.sql()) {
  remember_stamps();
}

Attempt<std::unique_ptr<Session>> Session::open(const std::string& file, Duration busy_timeout) {
  if (auto made = ensure_file(file); !made) return tl::unexpected(made.error());
  auto connection = Connection::open(file, Connection::Mode::kWrite, busy_timeout);
  if (!connection) return tl::unexpected(connection.error());
  const auto migrated_from = migrate(*connection);
  if (!migrated_from) return tl::unexpected(migrated_from.error());
  return attempt(fmt::format("read {}", file),
                 [&] { return std::unique_ptr<Session>(new Session(file, std::move(*connection), *migrated_from)); });
}

Attempt<Loaded> Session::load(const Moment& at) {
  return attempt(fmt::format("read {}", file_), [&] { return store::load(connection_.sql(), at); });
}

Attempt<History> Session::read_history(const HistoryQuery& query) {
  return attempt(fmt::format("read {}", file_), [&] { return store::read_history(connection_.sql(), query); });
}

Attempt<void> Session::write(const Batch& batch) {
  auto written = attempt(fmt::format("write {}", file_), [&] { rows_.write(batch); });
  remember_own_write();
  return written;
}

Attempt<bool> Session::thin(WallTime now) {
  auto is_all = thinning_.step(connection_, now);
  remember_own_write();
  return is_all;
}

void Session::remember_own_write() {
  // What goes into the file itself waits until the log is long. A stamp that is not taken cannot be another's.
  if (size_of(log_file_) >= kCheckpointFrom) return remember_stamps();
  const FileStamp before = file_stamp_;
  remember_stamps();
  file_stamp_ = before;
}

void Session::remember_stamps() {
  if (!log_identity_) log_identity_ = identity_of(log_file_);
  if (!index_identity_) index_identity_ = identity_of(index_file_);
  file_stamp_ = stamp_of(file_);
  log_stamp_ = stamp_of(log_file_);
}

bool Session::is_touched() const { return stamp_of(file_) != file_stamp_ || stamp_of(log_file_) != log_stamp_; }

Attempt<void> Session::check_touched(Duration at_most) {
  if (!connection_.has_head()) {
    return failed(Kind::kCorrupt, fmt::format("check {}: somebody has written over it", file_));
  }
  connection_.forget_cache();
  auto whole = check(at_most);
  if (!whole) return whole;
  const auto emptied = attempt("empty the log", [&] { connection_.sql().exec("PRAGMA wal_checkpoint(TRUNCATE)"); });
  if (!emptied && emptied.error().kind == Kind::kCorrupt) return tl::unexpected(emptied.error());
  remember_stamps();
  return {};
}

Attempt<StateRows> Session::read_back(const Moment& at) {
  return attempt(fmt::format("read {}", file_), [&] { return rows_.read_back(at); });
}

Attempt<void> Session::check(Duration at_most) {
  connection_.halt_at(net::now() + at_most);
  const auto verdict = attempt(fmt::format("check {}", file_),
                               [&] { return connection_.sql().execAndGet("PRAGMA quick_check(1)").getString(); });
  connection_.halt_at(kNever);
  if (!verdict) {
    if (verdict.error().kind == Kind::kHalted) return {};
    return tl::unexpected(verdict.error());
  }
  if (*verdict != "ok") return failed(Kind::kCorrupt, fmt::format("check {}: {}", file_, *verdict));
  return {};
}

Attempt<void> Session::look(bool& samples_fit) {
  const auto found = identity_of(file_);
  if (!found) return failed(Kind::kMoved, fmt::format("{} is gone", file_));
  if (found != identity_) return failed(Kind::kMoved, fmt::format("{} is another file now", file_));
  if (log_identity_ && identity_of(log_file_) != log_identity_) {
    return failed(Kind::kMoved, fmt::format("{} is gone", log_file_));
  }
  // Others would make a new one, and their locks were not ours.
  if (index_identity_ && identity_of(index_file_) != index_identity_) {
    return failed(Kind::kMoved, fmt::format("{} is gone", index_file_));
  }
  std::uint64_t log_size = size_of(log_file_);
  samples_fit = log_size < kLogTooBigForSamples;
  if (log_size < kLogTooBig) return {};
  const auto emptied = attempt("empty the log", [&] { connection_.sql().exec("PRAGMA wal_checkpoint(TRUNCATE)"); });
  log_size = size_of(log_file_);
  remember_stamps();
  if (emptied && log_size < kLogTooBig) return {};
  return failed(Kind::kFull,
                fmt::format("write {}: a reader that does not end keeps {} from being emptied", file_, log_file_));
}

void Session::remove_orphaned_log() {
  if (!identity_ || identity_of(file_) == identity_) return;
  if (!log_identity_ || identity_of(log_file_) != log_identity_) return;
  ::unlink(log_file_.c_str());
  ::unlink((log_file_.substr(0, log_file_.size() - 4) + "-shm").c_str());
}

Attempt<Loaded> load_read_only(const std::string& file, const Moment& at) {
  auto connection = Connection::open(file, Connection::Mode::kRead, Duration::zero());
  auto readable = connection ? is_readable(*connection) : tl::unexpected(connection.error());
  const auto is_locked_out = [&] {
    return readable.error().kind == Kind::kOther || readable.error().kind == Kind::kFull;
  };
  if (!readable && is_locked_out() && size_of(real_path(file) + "-wal") == 0) {
    // sqlite wants to make its log's index even to read. Without a log the file alone is the whole truth.
    connection = Connection::open(file, Connection::Mode::kFrozen, Duration::zero());
    readable = connection ? is_readable(*connection) : tl::unexpected(connection.error());
  }
  if (!readable) return tl::unexpected(readable.error());
  if (!*readable) return Loaded{};
  return attempt(fmt::format("read {}", file), [&] { return load(connection->sql(), at); });
}

}  // namespace har::store
