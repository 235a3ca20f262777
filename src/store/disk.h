// The data file as a file: made with its folder, recognised again, set aside. sqlite's two companions, FILE-wal (the
// log of writes) and FILE-shm (its index), go with it. Thread: the store's thread.  Tested by: store_test.cc
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "store/sqlite.h"

namespace har::store {

// Which file it is that stands under a path just now; equal means the same one.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};
std::optional<FileIdentity> identity_of(const std::string& path);  // none: there is no such file

// Changes with whatever is written to the file. Not for FILE-shm, which is written as memory.
struct FileStamp {
  std::uint64_t size = 0;
  timespec modified{};
  bool operator==(const FileStamp& other) const;
};
FileStamp stamp_of(const std::string& path);     // of no file at all: zeros
std::uint64_t size_of(const std::string& path);  // 0 as well when there is no such file

// Without symbolic links, where the file exists: its companions stand beside the real one.
std::string real_path(const std::string& file);

// Makes the file (0640) and the folders that lead to it (0750) where they are missing. What is there keeps its mode.
Attempt<void> ensure_file(const std::string& file);

// Renames the file and its companions to FILE.corrupt-<UTC time>[-n] and returns that name. Of several such the newest
// kCorruptKept stay: a bad disk must not be filled with its own ruins.
inline constexpr std::size_t kCorruptKept = 5;
Attempt<std::string> set_aside(const std::string& file, WallTime now);

}  // namespace har::store
