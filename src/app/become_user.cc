#include "app/become_user.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace har::app {

Result<void> become_user(const std::string& user) {
  if (user.empty()) return {};
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr) return failure(fmt::format("no user named {}", user));
  if (entry->pw_uid == getuid() && entry->pw_gid == getgid()) return {};
  const pid_t parent = getppid();
  if (initgroups(user.c_str(), entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0) {
    return failure(fmt::format("change to user {}: {}", user, strerrordesc_np(errno)));
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // the keeper died between the two
  return {};
}

bool is_user(const std::string& user, uid_t uid) {
  if (user.empty()) return uid == getuid();
  const passwd* entry = getpwnam(user.c_str());
  return entry != nullptr && entry->pw_uid == uid;
}

}  // namespace har::app
