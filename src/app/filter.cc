#include "app/filter.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace har::app {

Filter::Filter(Otherwise otherwise) {
#ifndef HAR_SANITIZED
  context_.reset(seccomp_init(otherwise == Otherwise::kKill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(ENOSYS)));
  if (!context_) {
    error_ = ENOSYS;
    return;
  }
  const auto set = [this](scmp_filter_attr attribute, std::uint32_t value) {
    const int result = seccomp_attr_set(context_.get(), attribute, value);
    if (result != 0 && error_ == 0) error_ = -result;
  };
  set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);  // the numbers of another architecture: a way round the list
  set(SCMP_FLTATR_CTL_TSYNC, 1);
  set(SCMP_FLTATR_API_SYSRAWRC, 1);  // load() tells the kernel's errno
  // A search tree instead of a chain. The kernel keeps a bitmap of what is allowed whatever the arguments, the hot
  // calls among them; this serves the others, and the making of the bitmap.
  set(SCMP_FLTATR_CTL_OPTIMIZE, 2);
#else
  (void)otherwise;
#endif
}

void Filter::add(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> when) {
  if (!context_ || error_ != 0) return;
  const int result =
      seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(when.size()), when.begin());
  if (result != 0) error_ = -result;
}

Filter& Filter::allow(std::initializer_list<int> calls) {
  for (const int call : calls) add(SCMP_ACT_ALLOW, call);
  return *this;
}

Filter& Filter::allow(int call, std::initializer_list<scmp_arg_cmp> when) {
  add(SCMP_ACT_ALLOW, call, when);
  return *this;
}

Filter& Filter::refuse(int error, std::initializer_list<int> calls) {
  for (const int call : calls) add(SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)), call);
  return *this;
}

Filter& Filter::kill(std::initializer_list<int> calls) {
  for (const int call : calls) add(SCMP_ACT_KILL_PROCESS, call);
  return *this;
}

Filter& Filter::kill(int call, std::initializer_list<scmp_arg_cmp> when) {
  add(SCMP_ACT_KILL_PROCESS, call, when);
  return *this;
}

void Filter::load(const Rights& rights) {
#ifndef HAR_SANITIZED
  if (error_ == 0) error_ = -seccomp_load(context_.get());
  if (error_ != 0) rights.refused("system_call_filter", error_);
  context_.reset();
#else
  (void)rights;
#endif
}

void allow_sockets(Filter& filter) {
  for (const int family : {AF_INET, AF_INET6}) {
    for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
      filter.allow(SCMP_SYS(socket), {is(0, static_cast<scmp_datum_t>(family)),
                                      is_but_for(1, SOCK_NONBLOCK | SOCK_CLOEXEC, static_cast<scmp_datum_t>(type)),
                                      is(2, 0)});  // no MPTCP, SCTP, UDP-Lite
    }
  }
  filter.allow({SCMP_SYS(connect), SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
                SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(epoll_wait),
                SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl), SCMP_SYS(poll), SCMP_SYS(ppoll),
                SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close)});
}

void allow_memory(Filter& filter) {
  filter.allow(SCMP_SYS(mmap), {has_none(2, PROT_EXEC)});
  filter.allow(SCMP_SYS(mprotect), {has_none(2, PROT_EXEC)});
  filter.allow({SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk)});
}

void allow_housekeeping(Filter& filter) {
  filter.allow({SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(sched_yield),
                SCMP_SYS(sched_getaffinity), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn),
                SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday),
                SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(exit),
                SCMP_SYS(exit_group)});
  filter.allow(SCMP_SYS(tgkill), {is(0, static_cast<scmp_datum_t>(getpid()))});
  filter.allow(SCMP_SYS(prlimit64), {is(2, 0)});  // to ask, not to set
}

}  // namespace har::app
