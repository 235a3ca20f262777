#include "app/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>
#include <string_view>

namespace har::app {

void prepare_child_process() {
  end_without_memory();
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) signal(number, SIG_IGN);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

void end_without_memory() {
  std::set_new_handler([] {
    // Without any memory of our own.
    const std::string_view name = program_invocation_short_name;
    std::array<char, 128> line{};
    std::size_t size = 0;
    for (const std::string_view part : {std::string_view("level=error event=out_of_memory process="), name,
                                        std::string_view(" hint=\"see its limits\"\n")}) {
      size += part.copy(line.data() + size, line.size() - size);
    }
    [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), size);
    _exit(1);
  });
}

std::uint64_t open_files_allowed() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

void settle_surroundings() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // The lowest free number is this one. Not close-on-exec: the children need it as well.
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) return;
  }
  umask(S_IWGRP | S_IRWXO);
}

int dup_cloexec(const net::Fd& fd) { return fcntl(fd.get(), F_DUPFD_CLOEXEC, 0); }

void wait_ms(int milliseconds) { poll(nullptr, 0, milliseconds); }

}  // namespace har::app
