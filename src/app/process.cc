#include "app/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace har::app {

namespace {

// Without any memory of our own.
[[noreturn]] void end_for_want_of(std::string_view what) {
  std::array<char, 128> line{};
  std::size_t size = 0;
  for (const std::string_view part :
       {std::string_view("level=error event=out_of_"), what, std::string_view(" process="),
        std::string_view(program_invocation_short_name), std::string_view(" hint=\"see its limits\"\n")}) {
    size += part.copy(line.data() + size, line.size() - size);
  }
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), size);
  _exit(1);
}

}  // namespace

void prepare_child_process() {
  end_without_memory();
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ}) signal(number, SIG_IGN);
  raise_open_files_limit();
}

void raise_open_files_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void do_apart(const std::function<void()>& work, const std::function<void()>& first) {
  std::thread thread;
  try {
    thread = std::thread([&] {
      if (first) first();
      work();
    });
  } catch (const std::system_error&) {
    return work();
  }
  thread.join();
}

void end_without_memory() {
  std::set_new_handler([] { end_for_want_of("memory"); });
  // Where a thread cannot be started (memory for its stack, RLIMIT_NPROC, a cgroup's pids): nothing of ours throws
  // else.
  std::set_terminate([] {
    try {
      if (const auto error = std::current_exception()) std::rethrow_exception(error);
    } catch (const std::system_error& error) {
      end_for_want_of("threads");
    } catch (const std::exception& error) {
      std::fprintf(stderr, "level=error event=exception process=%s reason=\"%s\"\n", program_invocation_short_name,
                   error.what());
    }
    std::abort();
  });
}

std::uint64_t open_files_allowed() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

Result<void> try_to_open(std::size_t files) {
  std::vector<net::Fd> opened;
  while (opened.size() < files) {
    opened.emplace_back(eventfd(0, EFD_CLOEXEC));
    if (opened.back()) continue;
    return failure(fmt::format("{} more open files are needed: {} (see RLIMIT_NOFILE)", files, strerrordesc_np(errno)));
  }
  return {};
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
