// The configuration from and to the disk: reading it, and the copy of the last accepted one beside data_file.
// Thread: any; may wait for the disk.  Tested by: config_files_test.cc
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "app/bundle.h"
#include "config/load.h"

namespace har::app {

// Whether FILE, not what it includes, may be a pipe or a terminal: for a person who checks what a program has written.
enum class Waits { kForNobody, kForItsWriter };

// Reads FILE and what it includes, and checks what only the disk can tell: that the files of check_ca_file are there,
// and that FILE is not an empty one. To the grammar that is a configuration without a name; on a disk it is a file that
// is being written, or was when the disk became full, and must not replace the names that are running.
config::Loaded load_from_disk(const std::string& path, const config::LoadOptions& options = {},
                              Waits waits = Waits::kForNobody);

// Where the copy of the last accepted configuration lies.
std::string accepted_copy_path(const std::string& data_file);
Result<void> keep_accepted_copy(const std::string& data_file, const Bundle& bundle);
// The copy, if there is a whole one and it was made from `main_path`: another file's copy must not run in its place.
// Whose it is decides what it may ask for: it lies where the daemon's user may write.
struct Accepted {
  Bundle bundle;
  uid_t owner = 0;
};
std::optional<Accepted> last_accepted(const std::string& data_file, const std::string& main_path);

}  // namespace har::app
