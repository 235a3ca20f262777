#include "app/checker_rights.h"

#include <linux/capability.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>

#include "app/become_user.h"

namespace har::app {
namespace {

// Through sqlite, the accepted copy, resolv.conf, CA files and what OpenSSL and the C library read for themselves.
void allow_files(Filter& filter) {
  filter.allow({SCMP_SYS(open),
                SCMP_SYS(openat),
                SCMP_SYS(stat),
                SCMP_SYS(lstat),
                SCMP_SYS(fstat),
                SCMP_SYS(newfstatat),
                SCMP_SYS(statx),
                SCMP_SYS(statfs),
                SCMP_SYS(fstatfs),
                SCMP_SYS(access),
                SCMP_SYS(faccessat),
                SCMP_SYS(faccessat2),
                SCMP_SYS(readlink),
                SCMP_SYS(readlinkat),
                SCMP_SYS(getcwd),
                SCMP_SYS(getdents64),
                SCMP_SYS(lseek),
                SCMP_SYS(readv),
                SCMP_SYS(pread64),
                SCMP_SYS(preadv),
                SCMP_SYS(pwrite64),
                SCMP_SYS(pwritev),
                SCMP_SYS(ftruncate),
                SCMP_SYS(fallocate),
                SCMP_SYS(fsync),
                SCMP_SYS(fdatasync),
                SCMP_SYS(fcntl),
                SCMP_SYS(fchmod),
                SCMP_SYS(fchown),
                SCMP_SYS(mkdir),
                SCMP_SYS(mkdirat),
                SCMP_SYS(rename),
                SCMP_SYS(renameat),
                SCMP_SYS(renameat2),
                SCMP_SYS(unlink),
                SCMP_SYS(unlinkat),
                SCMP_SYS(umask),
                SCMP_SYS(fadvise64),
                SCMP_SYS(inotify_init1),
                SCMP_SYS(inotify_add_watch),
                SCMP_SYS(inotify_rm_watch),
                SCMP_SYS(memfd_create),
                SCMP_SYS(dup)});
  // A library may load another (OpenSSL's providers, the C library's name services): code from files, never from memory
  // that was written.
  filter.allow(SCMP_SYS(mmap), {of_these(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), has_none(3, MAP_ANONYMOUS)});
}

// To stand back (courtesy.h): nobody comes back from that without CAP_SYS_NICE.
void allow_courtesy(Filter& filter) { filter.allow(SCMP_SYS(setpriority), {is(0, PRIO_PROCESS), is(1, 0)}); }

// Beyond those of the answerer: netlink for the host's own addresses.
void allow_more_sockets(Filter& filter) {
  filter.allow(SCMP_SYS(socket),
               {is(0, AF_NETLINK), is_but_for(1, SOCK_NONBLOCK | SOCK_CLOEXEC, SOCK_RAW), is(2, NETLINK_ROUTE)});
  filter.allow({SCMP_SYS(bind), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(epoll_create1), SCMP_SYS(eventfd2),
                SCMP_SYS(pipe2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime)});
  for (const int request : {FIONBIO, FIONREAD, SIOCGIFINDEX}) {
    filter.allow(SCMP_SYS(ioctl), {is(1, static_cast<scmp_datum_t>(request))});
  }
}

// Threads, but no processes: clone3 keeps its flags where no filter can read them, and is refused as on an old kernel.
void allow_threads(Filter& filter) {
  filter.allow(SCMP_SYS(clone), {has(0, CLONE_THREAD)});
  filter.kill(SCMP_SYS(clone), {has_none(0, CLONE_THREAD)});
  filter.allow(SCMP_SYS(prctl), {is(0, PR_SET_NAME)});
  filter.allow({SCMP_SYS(set_tid_address), SCMP_SYS(sigaltstack), SCMP_SYS(nanosleep), SCMP_SYS(clock_getres),
                SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
                SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(times), SCMP_SYS(getcpu)});
}

// No library of ours does these for an honest reason: what tries is not us any more.
void kill_what_is_hostile(Filter& filter) {
  filter.kill({SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork)});
  filter.kill({SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
               SCMP_SYS(kcmp), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal), SCMP_SYS(kill),
               SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo)});
  filter.kill({SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
               SCMP_SYS(setresgid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(setgroups), SCMP_SYS(capset),
               SCMP_SYS(personality), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key)});
  filter.kill({SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen),
               SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr), SCMP_SYS(pivot_root),
               SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(open_by_handle_at), SCMP_SYS(mknod),
               SCMP_SYS(mknodat), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(quotactl)});
  filter.kill({SCMP_SYS(bpf),
               SCMP_SYS(perf_event_open),
               SCMP_SYS(userfaultfd),
               SCMP_SYS(io_uring_setup),
               SCMP_SYS(io_uring_enter),
               SCMP_SYS(io_uring_register),
               SCMP_SYS(init_module),
               SCMP_SYS(finit_module),
               SCMP_SYS(delete_module),
               SCMP_SYS(kexec_load),
               SCMP_SYS(kexec_file_load),
               SCMP_SYS(reboot),
               SCMP_SYS(acct),
               SCMP_SYS(syslog),
               SCMP_SYS(iopl),
               SCMP_SYS(ioperm),
               SCMP_SYS(modify_ldt),
               SCMP_SYS(settimeofday),
               SCMP_SYS(clock_settime),
               SCMP_SYS(adjtimex),
               SCMP_SYS(clock_adjtime),
               SCMP_SYS(sethostname),
               SCMP_SYS(setdomainname),
               SCMP_SYS(vhangup),
               SCMP_SYS(fanotify_init)});
}

}  // namespace

Result<void> drop_checker_rights(const std::string& user, const std::vector<std::string>& files_to_read,
                                 const std::string& file_to_write, const Rights& rights) {
  const bool is_sealed_by_user = !user.empty();  // then the user's modes are what the operator wants
  bool all_usable = true;
  if (!is_sealed_by_user) {
    all_usable = std::all_of(files_to_read.begin(), files_to_read.end(), [&rights](const std::string& file) {
      return rights.is_usable_with(0, file, Rights::Use::kRead);
    });
    all_usable = all_usable && rights.is_usable_with(0, file_to_write, Rights::Use::kWrite);
  }
  const Capabilities kept = all_usable ? 0 : capability(CAP_DAC_OVERRIDE);
  rights.keep_bounding_set(kept);  // while we still may
  if (auto became = become_user(user); !became) return became;
  rights.keep_capabilities(kept);
  rights.no_new_privileges();
  rights.no_dumps();
  return {};
}

// Found with strace over all end-to-end tests. OpenSSL and sqlite change faster than we do, and a checker that is
// killed over and over checks nothing: so what is not named is refused, and only what is hostile kills.
Filter checker_filter() {
  Filter filter(Filter::Otherwise::kRefuse);
  allow_sockets(filter);
  allow_memory(filter);
  allow_housekeeping(filter);
  allow_files(filter);
  allow_more_sockets(filter);
  allow_threads(filter);
  allow_courtesy(filter);
  kill_what_is_hostile(filter);
  return filter;
}

}  // namespace har::app
