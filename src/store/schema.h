// The tables, and how a file of an older version becomes one of this version.
// Thread: whoever owns the connection.  Tested by: store_test.cc
//
// Units, in all tables: a `time` and every `*_time` that says when: unix seconds, REAL (select datetime(time,
// 'unixepoch')). connect_time and response_time: microseconds, INTEGER; 0 is "not known".  NULL: never, or none.
//
//   names       one row a configured name; `queries` answered by us, since the file was made
//   candidates  one row an endpoint of a name.  state: unknown | up | down.  admin: auto | drained.
//               chosen: 1 when it is in the answer.  last_check_status: a word of health's outcomes and the reason.
//               dns_*: lookups of the candidate's host (the same in every row of that host)
//   events      kind state: `old` and `new` are words of state;  kind choice: the answer's addresses, and candidate and
//               address are NULL
//   clock       one row: when the machine's boot was, by the wall clock that the times of `candidates` are by
//               (row_clock.h), and which boot, by the first half of its id
//   samples     one row a probe, thinned with age (thinning.h).  outcome: ok | timeout | connect_error | ...
//
// PRAGMA user_version counts the steps that a file has behind it; PRAGMA application_id says that it is ours.
#pragma once

#include "store/sqlite.h"

namespace har::store {

inline constexpr int kSchemaVersion = 3;
inline constexpr int kApplicationId = 0x48415264;  // "HARd"

// Takes all steps that the file still needs, in one transaction; returns the version it had. Failure::kForeign for a
// newer version's file and for another program's: it is left as it is.
Attempt<int> migrate(Connection& connection);

// The same judgement without writing: true when the file has our tables in a version that can be read.
Attempt<bool> is_readable(Connection& connection);

// For tests: a file as version `version` made it.
void make_schema(SQLite::Database& database, int version);

}  // namespace har::store
