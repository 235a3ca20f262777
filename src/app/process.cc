#include "app/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

namespace har::app {

void prepare_child_process() {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) signal(number, SIG_IGN);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int dup_cloexec(const net::Fd& fd) { return fcntl(fd.get(), F_DUPFD_CLOEXEC, 0); }

void wait_ms(int milliseconds) { poll(nullptr, 0, milliseconds); }

}  // namespace har::app
