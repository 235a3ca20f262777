#include "app/rights.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace har::app {
namespace {

constexpr int kMostCapabilities = 64;

struct CapabilitySets {
  Capabilities effective = 0, permitted = 0, inheritable = 0;
};

// Two system calls without a wrapper in the C library; the third version's sets come in halves.
std::optional<CapabilitySets> get_sets() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> half{};
  if (syscall(SYS_capget, &header, half.data()) != 0) return std::nullopt;
  const auto whole = [](std::uint32_t low, std::uint32_t high) { return Capabilities{high} << 32 | low; };
  return CapabilitySets{whole(half[0].effective, half[1].effective), whole(half[0].permitted, half[1].permitted),
                        whole(half[0].inheritable, half[1].inheritable)};
}

bool set_sets(const CapabilitySets& sets) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> half{};
  for (unsigned i = 0; i < half.size(); ++i) {
    half[i] = {static_cast<std::uint32_t>(sets.effective >> 32 * i),
               static_cast<std::uint32_t>(sets.permitted >> 32 * i),
               static_cast<std::uint32_t>(sets.inheritable >> 32 * i)};
  }
  return syscall(SYS_capset, &header, half.data()) == 0;
}

}  // namespace

void Rights::keep_bounding_set(Capabilities kept) const {
  // Who has none gains none by executing either, once no_new_privileges() is said: an unprivileged start is no line.
  const auto sets = get_sets();
  if (sets && sets->permitted == 0) return;
  int error = 0;
  for (int number = 0; number < kMostCapabilities; ++number) {
    if ((kept & capability(number)) != 0) continue;
    const int is_there = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (is_there < 0 && errno == EINVAL) break;  // the kernel knows no more
    if (is_there < 0 || (is_there == 1 && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0)) error = errno;
  }
  if (error != 0) refused("capability_bounding_set", error);
}

void Rights::keep_capabilities(Capabilities kept) const {
  const auto sets = get_sets();
  if (!sets) return refused("capabilities", errno);
  const Capabilities have = sets->permitted & kept;
  if (!set_sets({have, have, sets->inheritable & kept})) refused("capabilities", errno);
}

void Rights::no_new_privileges() const {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) refused("no_new_privileges", errno);
}

void Rights::no_dumps() const {
  limit("core_size", RLIMIT_CORE, 0);
#ifndef HAR_SANITIZED  // the leak sanitizer looks into us from a process of its own
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) refused("not_dumpable", errno);
#endif
}

void Rights::limit(const char* step, __rlimit_resource what, rlim_t most) const {
  rlimit now{};
  if (getrlimit(what, &now) != 0) return refused(step, errno);
  const rlim_t allowed = now.rlim_max < most ? now.rlim_max : most;
  const rlimit wanted{allowed, allowed};
  if (setrlimit(what, &wanted) != 0) refused(step, errno);
}

bool Rights::is_usable_with(Capabilities kept, const std::string& path, Use use) const {
  const auto before = get_sets();
  if (!before || before->effective == (before->effective & kept)) return true;  // it makes no difference
  if (!set_sets({before->effective & kept, before->permitted, before->inheritable})) return true;
  const int mode = use == Use::kRead ? R_OK : use == Use::kWrite ? W_OK : X_OK;
  std::string asked = path;
  int result = faccessat(AT_FDCWD, asked.c_str(), mode, AT_EACCESS);
  // What is written beside the file (sqlite's -wal and -shm, a copy that takes its place, a corrupt one set aside)
  // needs the folder, whoever owns the file.
  if (use == Use::kWrite && (result == 0 || errno == ENOENT)) {
    const auto slash = path.rfind('/');
    asked = slash == std::string::npos ? "." : path.substr(0, slash == 0 ? 1 : slash);
    result = faccessat(AT_FDCWD, asked.c_str(), W_OK | X_OK, AT_EACCESS);
  }
  const bool closed = result != 0 && errno == EACCES;  // what is wrong otherwise, no capability mends
  set_sets(*before);
  if (closed) {
    log_.warning(
        "right_kept",
        {{"step", "CAP_DAC_OVERRIDE"}, {"reason", "the modes of a file that is needed shut us out"}, {"file", asked}});
  }
  return !closed;
}

void Rights::refused(std::string_view step, int error) const {
  log_.warning("right_kept", {{"step", step}, {"reason", strerrordesc_np(error)}, {"errno", error}});
}

}  // namespace har::app
