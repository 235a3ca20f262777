// The checker's rights, taken by a child: what it must not do stops it, what it must do goes on.
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <fstream>
#include <thread>

#include "app/checker_rights.h"
#include "rights/in_child.h"
#include "rights/steps.h"

namespace har::app {
namespace {

void enter(const Log& log) {
  const Rights rights(log);
  EXPECT_TRUE(drop_checker_rights("", {"/etc/passwd"}, "/tmp/har.db", rights));
  checker_filter().load(rights);
}

class CheckerRights : public FilterTest {
 protected:
  CheckerRights() : FilterTest(enter) {}
};

TEST_F(CheckerRights, NoProgramOrProcessIsStarted) {
  kills("exec", steps::start_a_program);
  kills("fork", steps::fork_a_process);
  kills("vfork", [] { return syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr); });
  refuses("clone3", ENOSYS, steps::start_a_thread_with_clone3);  // then the C library takes clone
}

TEST_F(CheckerRights, NoOtherProcessIsTouched) {
  const pid_t us = getpid();
  kills("ptrace", [us] { return steps::trace_parent(us); });
  kills("process_vm_readv", [us] { return steps::read_memory_of(us); });
  kills("kill", [us] { return steps::signal_to(us); });
  refuses("tgkill", ENOSYS, [us] { return syscall(SYS_tgkill, us, us, 0); });
}

TEST_F(CheckerRights, NobodyElseIsBecome) {
  kills("setresuid", steps::change_the_user);
  kills("unshare", steps::leave_the_namespace);
  kills("chroot", steps::change_the_root);
  kills("mount", steps::mount_something);
}

TEST_F(CheckerRights, NothingOfTheKernelsDeeperParts) {
  kills("bpf", steps::load_a_bpf_program);
  kills("io_uring", steps::use_io_uring);
  kills("finit_module", steps::load_a_module);
}

TEST_F(CheckerRights, NoSocketButTcpAndUdpAndNoneThatListens) {
  refuses("unix", ENOSYS, steps::talk_to_local_services);
  refuses("raw", ENOSYS, steps::make_a_raw_socket);
  refuses("packet", ENOSYS, steps::make_a_packet_socket);
  refuses("listen", ENOSYS, steps::listen_somewhere);
}

TEST_F(CheckerRights, NoPortBelow1024) {
  int first_free = 1024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> first_free;
  if (first_free <= 1023) GTEST_SKIP() << "this host gives port " << first_free << " to everybody";
  refuses("bind", EACCES, [] { return steps::bind_to("127.0.0.1", 1023); });
}

TEST_F(CheckerRights, NoCodeFromWrittenMemory) {
  refuses("mmap", ENOSYS, steps::map_code);
  refuses("mprotect", ENOSYS, steps::turn_data_into_code);
}

TEST_F(CheckerRights, FilesGoOn) {
  const std::string folder = testing::TempDir();
  goes_on("a draft that is renamed", [&]() -> long {
    const std::string draft = folder + "/har-rights-draft", file = folder + "/har-rights-file";
    const int fd = open(draft.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0 || pwrite(fd, "x", 1, 0) != 1 || fsync(fd) != 0 || ftruncate(fd, 0) != 0) return -1;
    struct flock whole {};
    whole.l_type = F_WRLCK;
    if (fcntl(fd, F_SETLK, &whole) != 0 || fchmod(fd, 0600) != 0) return -1;
    return rename(draft.c_str(), file.c_str()) == 0 ? unlink(file.c_str()) : -1;
  });
}

TEST_F(CheckerRights, ChecksGoOn) {
  goes_on("TCP", [] { return steps::make_a_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); });
  goes_on("UDP", [] { return steps::make_a_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0); });
  goes_on("the host's addresses", []() -> long {
    ifaddrs* list = nullptr;
    const long result = getifaddrs(&list);
    if (result == 0) freeifaddrs(list);
    return result;
  });
  goes_on("an interface's number", []() -> long {
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    return ioctl(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), SIOCGIFINDEX, &request);
  });
}

TEST_F(CheckerRights, WhatNoLibraryOfOursNeedsIsRefused) {
  refuses("a pair of sockets", ENOSYS, []() -> long {
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  });
}

TEST_F(CheckerRights, AThreadMayStandBackButNobodyElse) {
  goes_on("standing back", []() -> long { return setpriority(PRIO_PROCESS, 0, 19); });
  refuses("others' priority", ENOSYS, []() -> long { return setpriority(PRIO_PROCESS, 1, 19); });
}

TEST_F(CheckerRights, ThreadsGoOn) {
  goes_on("a thread", []() -> long {
    long result = -1;
    std::thread([&result] { result = prctl(PR_SET_NAME, "har-store"); }).join();
    return result;
  });
}

}  // namespace
}  // namespace har::app
