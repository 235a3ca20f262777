// What a process must not do, one function a deed. Each returns what the system call returned.
#pragma once

#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/ip.h"
#include "net/sockaddr.h"

namespace har::app::steps {

inline long start_a_program() {
  char* const arguments[] = {const_cast<char*>("/bin/true"), nullptr};
  return execv("/bin/true", arguments);
}
inline long fork_a_process() {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  return pid;
}
inline long start_a_thread_with_clone3() { return syscall(SYS_clone3, nullptr, 0); }

inline long trace_parent(pid_t parent) { return ptrace(PTRACE_ATTACH, parent, nullptr, nullptr); }
inline long read_memory_of(pid_t pid) {
  char here = 0;
  iovec local{&here, 1}, remote{&here, 1};
  return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}
inline long signal_to(pid_t pid) { return kill(pid, 0); }
inline long open_a_file() { return open("/etc/passwd", O_RDONLY | O_CLOEXEC); }
inline long make_a_file() { return open("/tmp/har-rights-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600); }
inline long look_at_a_path() {
  struct stat status {};
  return stat("/etc/passwd", &status);
}
inline long remove_a_file() { return unlink("/tmp/har-rights-test"); }
inline long make_a_folder() { return mkdir("/tmp/har-rights-test", 0700); }
inline long make_a_socket(int family, int type, int protocol) { return socket(family, type | SOCK_CLOEXEC, protocol); }
inline long talk_to_local_services() { return make_a_socket(AF_UNIX, SOCK_STREAM, 0); }
inline long make_a_raw_socket() { return make_a_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
inline long make_a_packet_socket() { return make_a_socket(AF_PACKET, SOCK_RAW, 0); }
inline long write_routes() { return make_a_socket(AF_NETLINK, SOCK_RAW, 0); }
inline long bind_to(const char* address, std::uint16_t port) {
  const net::SocketAddress at(IpPort{*IpAddress::parse(address), port, 0});
  const int fd = socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd < 0 ? fd : bind(fd, &at.generic, at.size());
}
inline long listen_somewhere() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd < 0 ? fd : listen(fd, 1);
}
inline long map(int rights) {
  return mmap(nullptr, 4096, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}
inline long map_code() { return map(PROT_READ | PROT_EXEC); }
inline long turn_data_into_code() {
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}
inline long mount_something() { return mount("none", "/tmp", "tmpfs", 0, nullptr); }
inline long change_the_user() { return syscall(SYS_setresuid, 0, 0, 0); }
inline long change_the_root() { return chroot("/"); }
inline long leave_the_namespace() { return syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */); }
inline long load_a_bpf_program() { return syscall(SYS_bpf, 0, nullptr, 0); }
inline long use_io_uring() {
  io_uring_params parameters{};
  return syscall(SYS_io_uring_setup, 1, &parameters);
}
inline long load_a_module() { return syscall(SYS_finit_module, -1, "", 0); }

}  // namespace har::app::steps
