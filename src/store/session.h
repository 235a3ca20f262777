// One data file, open: from its opening until a failure ends it. Knows whether the file is still the one that was
// opened. Thread: the store's thread.  Tested by: store_test.cc, touched_test.cc
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "store/disk.h"
#include "store/rows.h"
#include "store/schema.h"
#include "store/thinning.h"

namespace har::store {

class Session {
 public:
  // Makes the file where there is none and migrates an older one. `migrated_from`: the version it had (0: new).
  static Attempt<std::unique_ptr<Session>> open(const std::string& file, Duration busy_timeout);
  int migrated_from() const { return migrated_from_; }

  Attempt<Loaded> load(const Moment& at);
  Attempt<History> read_history(const HistoryQuery& query);
  Attempt<void> write(const Batch& batch);
  // What the file says, also when it has been deleted meanwhile: it is still open.
  Attempt<StateRows> read_back(const Moment& at);
  Attempt<bool> thin(WallTime now);
  // Reads the whole file and looks for damage; a file that takes longer than `at_most` counts as whole.
  Attempt<void> check(Duration at_most);
  // kMoved: it was deleted or replaced, or its log was, or the log's index. kFull: a reader keeps the log from being
  // emptied, and it grew beyond all measure. With a log beyond the first bound `samples_fit` becomes false.
  Attempt<void> look(bool& samples_fit);
  // Somebody else has written to the file or its log since we last did.
  bool is_touched() const;
  // After that: looks for damage on the disk, whatever is in the cache; a log whose beginning is damaged would end
  // there for the next reader, so what it holds goes into the file.
  Attempt<void> check_touched(Duration at_most);
  // Before the end of a session whose file was deleted or replaced: our log, left under its name, would be taken for
  // the log of whatever file stands or will stand there.
  void remove_orphaned_log();
  void halt_at(Instant deadline) { connection_.halt_at(deadline); }

  // Of a log (FILE-wal) that a reader of many minutes' patience keeps from being emptied.
  static constexpr std::uint64_t kLogTooBigForSamples = 64U << 20U, kLogTooBig = 256U << 20U;

 private:
  Session(std::string file, Connection connection, int migrated_from);

  void remember_stamps();
  void remember_own_write();

  const std::string file_, log_file_, index_file_;
  const int migrated_from_;
  const std::optional<FileIdentity> identity_;
  std::optional<FileIdentity> log_identity_, index_identity_;  // of FILE-wal and FILE-shm, once there are such
  FileStamp file_stamp_, log_stamp_;                           // after our last word
  Connection connection_;
  Rows rows_;
  Thinning thinning_;
};

// Reads without writing anything, for a file that cannot be opened otherwise (a read-only or full disk).
Attempt<Loaded> load_read_only(const std::string& file, const Moment& at);

}  // namespace har::store
