// hard-checker: the control plane. Started by the keeper (descriptor 3), or by hand: hard-checker --check FILE.
#include <fmt/format.h>
#include <malloc.h>

#include <cstdio>
#include <string_view>

#include "app/checker.h"
#include "app/config_files.h"
#include "app/process.h"
#include "base/log.h"
#include "config/rate.h"

namespace {

int check_file(const std::string& path) {
  const auto loaded = har::app::load_from_disk(path, {}, har::app::Waits::kForItsWriter);
  for (const auto& mistake : loaded.mistakes) fmt::print(stderr, "{}\n", mistake.to_string());
  if (!loaded.config) return 2;
  for (const auto& warning : loaded.warnings) fmt::print(stderr, "{} (a warning)\n", warning.to_string());
  fmt::print("{}", har::config::check_rate_report(*loaded.config));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--check") return check_file(argv[2]);
  if (argc != 1) {
    std::fputs("hard-checker is started by hard; see hard --help\n", stderr);
    return 2;
  }
  har::app::prepare_child_process();
  // Whatever is larger goes back to the kernel at once. Left alone, glibc raises this limit with the first large text
  // that is freed, and from then on the passing arrays of a reload make holes in the heap: 10 MB of them with 10,000
  // names.
  mallopt(M_MMAP_THRESHOLD, 64 << 10);
  har::Log log("checker");
  return har::app::Checker(log, har::net::Channel(har::net::Fd(har::app::kChannelFd))).run();
}
