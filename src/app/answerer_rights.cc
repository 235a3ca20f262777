#include "app/answerer_rights.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "app/become_user.h"

namespace har::app {
namespace {

#ifndef HAR_SANITIZED
// Memory that is not the table: a bound for the worst day, below which everything that the limits of the configuration
// allow must fit (200,000 queries in flight: 400 MiB). Half of the machine's, so that a flood that finds a leak costs
// us and not the neighbours.
constexpr rlim_t kLeastMemory = rlim_t{512} << 20;
constexpr rlim_t kMostMemory = rlim_t{2} << 30;
constexpr rlim_t kMemoryOfAWorker = rlim_t{128} << 20;  // TCP's buffers (64 MiB), packets, the stack

rlim_t most_memory(std::uint32_t workers) {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  const rlim_t half = pages > 0 && page > 0 ? static_cast<rlim_t>(pages) / 2 * static_cast<rlim_t>(page) : kMostMemory;
  return std::clamp(half, kLeastMemory, kMostMemory) + workers * kMemoryOfAWorker;
}
#endif

}  // namespace

Result<void> drop_answerer_rights(const std::string& user, [[maybe_unused]] std::uint32_t workers,
                                  const Rights& rights) {
  rights.keep_bounding_set(0);  // while we still may
  if (auto became = become_user(user); !became) return became;
  rights.keep_capabilities(0);
  rights.no_new_privileges();
  rights.no_dumps();
#ifndef HAR_SANITIZED  // sanitizers map terabytes
  rights.limit("memory", RLIMIT_DATA, most_memory(workers));
  rights.limit("locked_memory", RLIMIT_MEMLOCK, 0);
#endif
  return {};
}

// Found with strace over all end-to-end tests, and by reading what the C library may do in malloc and abort.
Filter answerer_filter() {
  Filter filter(Filter::Otherwise::kKill);
  allow_sockets(filter);
  allow_memory(filter);
  allow_housekeeping(filter);
  filter.allow({SCMP_SYS(accept4), SCMP_SYS(lseek) /* the size of received memory */});
  filter.allow(SCMP_SYS(fcntl), {is(1, F_DUPFD_CLOEXEC)});
  filter.allow(SCMP_SYS(getsockopt), {is(1, SOL_SOCKET), is(2, SO_ERROR)});
  filter.allow(SCMP_SYS(getsockopt), {is(1, SOL_SOCKET), is(2, SO_COOKIE)});
  filter.allow(SCMP_SYS(setsockopt), {is(1, IPPROTO_TCP), is(2, TCP_NODELAY)});
  filter.allow(SCMP_SYS(setsockopt), {is(1, IPPROTO_IP), is(2, IP_PKTINFO)});
  filter.allow(SCMP_SYS(setsockopt), {is(1, IPPROTO_IPV6), is(2, IPV6_RECVPKTINFO)});
  // A worker that goes down from its priority by itself (app/precedence.h).
  filter.allow(SCMP_SYS(getrusage), {is(0, RUSAGE_THREAD)});
  filter.allow(SCMP_SYS(sched_getscheduler), {is(0, 0)});
  filter.allow(SCMP_SYS(sched_setscheduler), {is(0, 0), is(1, SCHED_OTHER)});
  filter.allow(SCMP_SYS(prlimit64), {is(0, 0), is(1, RLIMIT_RTTIME)});
  // What the C library looks for without harm when there is nothing: malloc opens /proc/sys/vm/overcommit_memory when
  // it first gives memory back, newer ones name their mappings, stdio asks what a descriptor is. Refused, not deadly.
  filter.refuse(
      EACCES, {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
               SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat)});
  filter.refuse(EPERM, {SCMP_SYS(prctl), SCMP_SYS(ioctl), SCMP_SYS(uname), SCMP_SYS(sysinfo)});
  return filter;
}

void seal_answerer(Filter& filter, const Rights& rights) {
#ifndef HAR_SANITIZED                          // the leak sanitizer starts a thread of its own
  rights.limit("processes", RLIMIT_NPROC, 0);  // for uids other than root's, where there is no filter
#endif
  filter.load(rights);
}

}  // namespace har::app
