#include "app/accepted_copy.h"

#include <signal.h>

#include <system_error>
#include <thread>
#include <utility>

#include "app/config_files.h"
#include "app/process.h"
#include "net/clock.h"

namespace har::app {

void AcceptedCopy::keep(Bundle bundle) {
  next_ = std::move(bundle);
  look();
}

void AcceptedCopy::look() {
  if (!next_ || busy_->exchange(true)) return;
  const auto keep = [bundle = std::move(*next_), data_file = data_file_, log = log_, busy = busy_] {
    sigset_t all;  // SIGXFSZ (ulimit -f) must be an error of write(2) and no more
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    if (const auto kept = keep_accepted_copy(data_file, bundle); !kept) {
      log.warning("accepted_copy_not_kept",
                  {{"file", accepted_copy_path(data_file)}, {"reason", kept.error().message}});
    }
    busy->store(false);
  };
  next_.reset();
  try {
    std::thread(keep).detach();
  } catch (const std::system_error& error) {  // the checks are worth more than the copy
    log_.warning("accepted_copy_not_kept", {{"file", accepted_copy_path(data_file_)}, {"reason", error.what()}});
    busy_->store(false);
  }
}

bool AcceptedCopy::settle(Duration patience) {
  const Instant deadline = net::now() + patience;
  for (;;) {
    look();
    if (!next_ && !busy_->load()) return true;
    if (net::now() >= deadline) return false;
    wait_ms(2);
  }
}

}  // namespace har::app
