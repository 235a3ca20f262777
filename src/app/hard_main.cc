// hard: the daemon. This process becomes the keeper.
#include <fmt/format.h>
#include <getopt.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "app/keeper.h"
#include "app/process.h"
#include "base/log.h"

namespace {

constexpr std::uint64_t kLeastFiles = 32;  // each of the three needs half of that before it does anything

constexpr const char* kUsage =
    "usage: hard [FILE]           run in the foreground on FILE (/etc/har/har.conf)\n"
    "       hard --check [FILE]   read FILE, report every mistake, and end\n"
    "       hard --version\n";

// Where the other two stand is where this one stands; empty when that cannot be told. Never the working directory by
// default: as root we would run whatever lies there.
std::string own_program() {
  char path[PATH_MAX];
  const auto size = readlink("/proc/self/exe", path, sizeof path);
  if (size > 0 && path[0] == '/') return {path, static_cast<std::size_t>(size)};  // not "(unreachable)/…"
  // Without /proc: as the kernel was told. A name without a slash would be one of the working directory.
  // NOLINTNEXTLINE(performance-no-int-to-ptr): what getauxval(3) returns is an address
  const auto* const told = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  if (told == nullptr || std::strchr(told, '/') == nullptr || realpath(told, path) == nullptr) return {};
  return path;
}

std::string absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  char folder[PATH_MAX];
  return getcwd(folder, sizeof folder) == nullptr ? path : fmt::format("{}/{}", folder, path);
}

int usage_error() {
  std::fputs(kUsage, stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  har::app::settle_surroundings();
  bool check = false;
  int handover = -1;
  const option options[] = {{"check", no_argument, nullptr, 'c'},
                            {"version", no_argument, nullptr, 'v'},
                            {"help", no_argument, nullptr, 'h'},
                            // Between two versions of the keeper only: see keeper_upgrade.cc.
                            {"can-take-over", no_argument, nullptr, 't'},
                            {"take-over", required_argument, nullptr, 'o'},
                            {nullptr, 0, nullptr, 0}};
  for (int choice = 0; (choice = getopt_long(argc, argv, "h", options, nullptr)) != -1;) {
    switch (choice) {
      case 'c':
        check = true;
        break;
      case 'v':
        fmt::print("hard {}\n", HAR_VERSION);
        return 0;
      case 't':
        return 0;
      case 'o':
        if (const std::string_view number(optarg);
            std::from_chars(number.data(), number.data() + number.size(), handover).ptr !=
            number.data() + number.size())
          return usage_error();
        break;
      case 'h':
        std::fputs(kUsage, stdout);
        return 0;
      default:
        return usage_error();
    }
  }
  if (argc - optind > 1) return usage_error();
  const std::string file = optind < argc ? argv[optind] : "/etc/har/har.conf";
  har::Log log("keeper");
  const std::string program = own_program();
  if (program.empty()) {
    log.error("cannot_start", {{"reason", "neither /proc/self/exe nor the path it was executed by says where hard is"},
                               {"hint", "mount /proc, or start it by its whole path"}});
    return 1;
  }
  const std::string folder = program.substr(0, program.rfind('/'));
  if (check) {
    // Only the checker knows the configuration; this process stays small.
    const std::string checker = folder + "/hard-checker";
    execl(checker.c_str(), "hard-checker", "--check", file.c_str(), nullptr);
    std::perror(checker.c_str());
    return 1;
  }
  har::app::end_without_memory();
  if (const auto files = har::app::open_files_allowed(); files < kLeastFiles) {
    log.error("cannot_start", {{"reason", fmt::format("RLIMIT_NOFILE allows {} open files", files)},
                               {"hint", fmt::format("at least {}", kLeastFiles)}});
    return 1;
  }
  har::app::raise_open_files_limit();  // as its children do: a reload needs in it what it needs in them
  return har::app::run_keeper({absolute(file), program, folder, handover}, log);
}
