#include "store/disk.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <vector>

#include "net/fd.h"

namespace har::store {
namespace {

using Kind = Failure::Kind;
namespace fs = std::filesystem;

tl::unexpected<Failure> failed_with(int error, std::string_view what, const std::string& path) {
  return failed(error == ENOSPC || error == EDQUOT ? Kind::kFull : Kind::kOther,
                fmt::format("{} {}: {}", what, path, std::strerror(error)));
}

Attempt<void> ensure_folder(const fs::path& folder) {
  if (folder.empty() || ::access(folder.c_str(), F_OK) == 0) return {};
  if (auto parent = ensure_folder(folder.parent_path()); !parent) return parent;
  if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST) return failed_with(errno, "make folder", folder);
  return {};
}

void remove_oldest(const std::string& file) {
  const fs::path path(file);
  const std::string prefix = path.filename().string() + ".corrupt-";
  std::set<std::string> names;  // in the order of their times
  std::error_code error;
  for (fs::directory_iterator i(path.has_parent_path() ? path.parent_path() : ".", error), end; !error && i != end;
       i.increment(error)) {
    const std::string name = i->path().filename().string();
    if (name.starts_with(prefix) && !name.ends_with("-wal") && !name.ends_with("-shm"))
      names.insert(i->path().string());
  }
  for (auto i = names.begin(); names.size() > kCorruptKept; i = names.erase(i)) {
    for (const char* companion : {"", "-wal", "-shm"}) ::unlink((*i + companion).c_str());
  }
}

}  // namespace

std::optional<FileIdentity> identity_of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return std::nullopt;
  return FileIdentity{found.st_dev, found.st_ino};
}

bool FileStamp::operator==(const FileStamp& other) const {
  return size == other.size && modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec;
}

FileStamp stamp_of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  return {static_cast<std::uint64_t>(found.st_size), found.st_mtim};
}

std::uint64_t size_of(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? static_cast<std::uint64_t>(found.st_size) : 0;
}

std::string real_path(const std::string& file) {
  std::error_code error;
  const fs::path real = fs::canonical(file, error);
  return error ? file : real.string();
}

Attempt<void> ensure_file(const std::string& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) == 0) {
    if (S_ISREG(found.st_mode)) return {};
    return failed(Kind::kForeign, fmt::format("{} is not a regular file: it is left alone", file));
  }
  if (errno != ENOENT) return failed_with(errno, "open", file);
  if (auto folder = ensure_folder(fs::path(file).parent_path()); !folder) return folder;
  const net::Fd made(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!made) return errno == EEXIST ? Attempt<void>{} : failed_with(errno, "make", file);
  ::fchmod(made.get(), 0640);  // whatever the umask; sqlite gives its companions the same mode
  return {};
}

Attempt<std::string> set_aside(const std::string& file, WallTime now) {
  const std::string wanted =
      fmt::format("{}.corrupt-{:%Y%m%dT%H%M%SZ}", file, fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
  std::string name = wanted;
  for (int i = 2; ::access(name.c_str(), F_OK) == 0 && i < 1'000; ++i) name = fmt::format("{}-{}", wanted, i);
  // The file goes last: should we die in between, the next start finds a corrupt file again and not a log without one.
  for (const char* companion : {"-wal", "-shm"}) {
    if (std::rename((file + companion).c_str(), (name + companion).c_str()) != 0 && errno != ENOENT) {
      return failed_with(errno, "set aside", file + companion);
    }
  }
  if (std::rename(file.c_str(), name.c_str()) != 0) return failed_with(errno, "set aside", file);
  remove_oldest(file);
  return name;
}

}  // namespace har::store
