#include "app/config_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>
#include <utility>

#include "net/fd.h"

namespace har::app {
namespace {

tl::unexpected<Error> errno_failure() { return failure(strerrordesc_np(errno)); }

Result<std::string> read_all(const net::Fd& fd, std::size_t limit, std::string text = {}) {
  char buffer[65536];
  for (;;) {
    const auto got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0) return errno_failure();
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > limit) return failure(fmt::format("larger than {} MiB", limit >> 20));
  }
}

Result<std::string> read_file(const std::string& path, std::size_t limit, int flags = 0, uid_t* owner = nullptr) {
  // Not to wait for the writer of a FIFO: it may never come, and with it neither a start nor a heartbeat.
  const net::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags));
  if (!fd) return errno_failure();
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return errno_failure();
  if (S_ISDIR(status.st_mode)) return failure("Is a directory");
  if (!S_ISREG(status.st_mode)) return failure("Is not a regular file");
  if (owner != nullptr) *owner = status.st_uid;
  std::string text;
  text.reserve(std::min(static_cast<std::size_t>(status.st_size), limit));
  return read_all(fd, limit, std::move(text));
}

// Whatever gives octets, however long it takes.
Result<std::string> read_stream(const std::string& path, std::size_t limit) {
  const net::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  return fd ? read_all(fd, limit) : errno_failure();
}

std::optional<std::string> environment(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

void check_ca_files(const std::string& path, config::Loaded& loaded) {
  std::set<std::string> seen;
  for (const auto& name : loaded.config->names) {
    for (const auto& candidate : name.candidates) {
      const std::string& file = candidate.check->http->ca_file;
      if (file.empty() || !seen.insert(file).second || access(file.c_str(), R_OK) == 0) continue;
      loaded.mistakes.push_back(
          {path, candidate.line,
           fmt::format("check_ca_file of candidate {}: {}: {}; a readable file of PEM certificates would be right",
                       candidate.title, file, strerrordesc_np(errno))});
    }
  }
  if (!loaded.mistakes.empty()) loaded.config.reset();
}

void check_emptiness(const std::string& path, config::Loaded& loaded) {
  const auto is_blank = [](const config::SourceFile& file) {
    return file.text.find_first_not_of(" \t\r\n") == std::string::npos;
  };
  if (loaded.files.size() != 1 || !is_blank(loaded.files.front())) return;
  loaded.mistakes.push_back({path, 0, "the file is empty; write at least a comment where nothing is to be configured"});
  loaded.config.reset();
}

}  // namespace

config::Loaded load_from_disk(const std::string& path, const config::LoadOptions& options, Waits waits) {
  const auto read = [&](const std::string& file) {
    const bool is_stream = waits == Waits::kForItsWriter && file == path;
    return is_stream ? read_stream(file, Bundle::kMaxSize / 2) : read_file(file, Bundle::kMaxSize / 2);
  };
  auto loaded = config::load(path, read, environment, options);
  if (loaded.config) check_ca_files(path, loaded);
  if (loaded.config) check_emptiness(path, loaded);
  return loaded;
}

std::string accepted_copy_path(const std::string& data_file) { return data_file + ".conf"; }

Result<void> keep_accepted_copy(const std::string& data_file, const Bundle& bundle) {
  const std::string path = accepted_copy_path(data_file);
  const std::string text = bundle.to_text();
  if (const auto old = read_file(path, Bundle::kMaxSize); old && *old == text) return {};
  // Written whole beside it, then renamed: a reader finds the old copy or the new one, never a part.
  const std::string draft = path + ".new";
  const net::Fd fd(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd) return errno_failure();
  std::string_view left = text;
  while (!left.empty()) {
    const auto written = write(fd.get(), left.data(), left.size());
    if (written <= 0) {
      const auto why = errno_failure();
      unlink(draft.c_str());
      return why;
    }
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(fd.get()) != 0 || rename(draft.c_str(), path.c_str()) != 0) return errno_failure();
  return {};
}

std::optional<Accepted> last_accepted(const std::string& data_file, const std::string& main_path) {
  uid_t owner = 0;
  const auto text = read_file(accepted_copy_path(data_file), Bundle::kMaxSize, O_NOFOLLOW, &owner);
  if (!text) return std::nullopt;
  auto bundle = Bundle::parse(*text);
  if (!bundle || bundle->main_path != main_path) return std::nullopt;
  return Accepted{std::move(*bundle), owner};
}

}  // namespace har::app
