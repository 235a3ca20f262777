// The answerer's rights, taken by a child: what it must not do stops it, what it must do goes on.
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "app/answerer_rights.h"
#include "net/channel.h"
#include "net/memory.h"
#include "net/socket.h"
#include "rights/in_child.h"
#include "rights/steps.h"

namespace har::app {
namespace {

void enter(const Log& log) {
  const Rights rights(log);
  Filter filter = answerer_filter();
  EXPECT_TRUE(drop_answerer_rights("", 1, rights));
  seal_answerer(filter, rights);
}

class AnswererRights : public FilterTest {
 protected:
  AnswererRights() : FilterTest(enter) {}
};

TEST_F(AnswererRights, NoFileIsOpened) {
  refuses("open", EACCES, steps::open_a_file);
  refuses("create", EACCES, steps::make_a_file);
  refuses("stat", EACCES, steps::look_at_a_path);
  kills("unlink", steps::remove_a_file);
  kills("mkdir", steps::make_a_folder);
  kills("mount", steps::mount_something);
  kills("chroot", steps::change_the_root);
}

TEST_F(AnswererRights, NoProgramProcessOrThreadIsStarted) {
  kills("exec", steps::start_a_program);
  kills("fork", steps::fork_a_process);
  kills("clone3", steps::start_a_thread_with_clone3);
}

TEST_F(AnswererRights, NoSocketButTcpAndUdp) {
  kills("unix", steps::talk_to_local_services);
  kills("raw", steps::make_a_raw_socket);
  kills("packet", steps::make_a_packet_socket);
  kills("netlink", steps::write_routes);
  kills("SCTP", [] { return steps::make_a_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP); });
  kills("bind", [] { return steps::bind_to("127.0.0.1", 0); });
  kills("listen", steps::listen_somewhere);
}

TEST_F(AnswererRights, NoOtherProcessIsTouched) {
  const pid_t us = getpid();
  kills("ptrace", [us] { return steps::trace_parent(us); });
  kills("process_vm_readv", [us] { return steps::read_memory_of(us); });
  kills("kill", [us] { return steps::signal_to(us); });
  kills("tgkill", [us] { return syscall(SYS_tgkill, us, us, 0); });
}

TEST_F(AnswererRights, NoNewCode) {
  kills("mmap", steps::map_code);
  kills("mprotect", steps::turn_data_into_code);
}

TEST_F(AnswererRights, NothingOfTheKernelsDeeperParts) {
  kills("bpf", steps::load_a_bpf_program);
  kills("io_uring", steps::use_io_uring);
  kills("finit_module", steps::load_a_module);
  kills("unshare", steps::leave_the_namespace);
  kills("setresuid", steps::change_the_user);
  kills("setrlimit", [] {
    const rlimit more{1 << 20, 1 << 20};
    return setrlimit(RLIMIT_DATA, &more);
  });
}

TEST_F(AnswererRights, NoPriorityIsTakenButGivenUp) {
  kills("up", [] {
    const sched_param lowest{.sched_priority = 1};
    return sched_setscheduler(0, SCHED_RR, &lowest);
  });
  const pid_t us = getpid();
  kills("another's", [us] {
    const sched_param none{};
    return sched_setscheduler(us, SCHED_OTHER, &none);
  });
  goes_on("down", []() -> long {
    const sched_param none{};
    const rlimit patience{20'000, RLIM_INFINITY};
    return sched_setscheduler(0, SCHED_OTHER, &none) == 0 ? setrlimit(RLIMIT_RTTIME, &patience) : -1;
  });
}

// The workers run when the filter comes.
TEST_F(AnswererRights, BindAThreadThatWasThereBefore) {
  std::atomic<bool> sealed = false;
  std::unique_ptr<std::thread> worker;
  const Ending ending = in_child(
      [&](const Log& log) {
        worker = std::make_unique<std::thread>([&] {
          while (!sealed) std::this_thread::yield();
          steps::start_a_program();
        });
        enter(log);
        sealed = true;
      },
      [&]() -> long {
        worker->join();
        return 0;
      });
  EXPECT_EQ(ending.signal, SIGSYS) << ending;
}

TEST_F(AnswererRights, QueriesAndUpstreamsGoOn) {
  auto listener = net::listen_tcp({*IpAddress::parse("127.0.0.1"), 0, 0}, {});
  ASSERT_TRUE(listener);
  net::SocketAddress at;
  socklen_t size = sizeof at;
  ASSERT_EQ(getsockname(listener->get(), &at.generic, &size), 0);
  goes_on("TCP", [&]() -> long {
    const int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (out < 0 || connect(out, &at.generic, at.size()) != 0) return -1;
    const int in = accept4(listener->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    const int on = 1;
    if (in < 0 || setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) return -1;
    if (net::socket_cookie(in) == net::socket_cookie(out)) return -1;
    if (send(out, "q", 1, MSG_NOSIGNAL) != 1) return -1;
    pollfd ready{in, POLLIN, 0};
    if (poll(&ready, 1, 1000) != 1) return -1;
    char octet = 0;
    return recv(in, &octet, 1, MSG_DONTWAIT) == 1 ? shutdown(out, SHUT_WR) : -1;
  });
  goes_on("UDP", [] { return steps::make_a_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0); });
  goes_on("UDP over IPv6", [] {
    const long fd = steps::make_a_socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    return fd < 0 && errno == EAFNOSUPPORT ? 0 : fd;
  });
}

TEST_F(AnswererRights, ANewTableArrives) {
  auto pair = net::Channel::make_pair();
  ASSERT_TRUE(pair);
  auto memory = net::make_memory("table", 8192);
  ASSERT_TRUE(memory);
  ASSERT_TRUE(pair->first.send(1, "body", {memory->get()}));
  goes_on("a reload", [&]() -> long {
    net::Channel keeper(std::move(pair->second));
    net::Message message;
    if (keeper.receive(message, 1000) != net::Channel::Status::kMessage || message.fds.size() != 1) return -1;
    const auto mapping = net::Mapping::map(message.fds[0], net::Mapping::Mode::kReadOnly);
    if (!mapping || mapping->bytes().size() != 8192) return -1;
    return keeper.send(2) ? fcntl(message.fds[0].get(), F_DUPFD_CLOEXEC, 0) : -1;
  });
}

// The C library's malloc opens /proc/sys/vm/overcommit_memory when a thread's heap first gives memory back.
TEST_F(AnswererRights, MemoryComesAndGoes) {
  std::atomic<bool> sealed = false;
  std::unique_ptr<std::thread> worker;
  const Ending ending = in_child(
      [&](const Log& log) {
        worker = std::make_unique<std::thread>([&] {
          while (!sealed) std::this_thread::yield();
          std::vector<std::unique_ptr<char[]>> blocks;
          for (int i = 0; i < 400; ++i) blocks.push_back(std::make_unique<char[]>(100'000));
          while (!blocks.empty()) blocks.pop_back();
          blocks.push_back(std::make_unique<char[]>(64 << 20));
        });
        enter(log);
        sealed = true;
      },
      [&]() -> long {
        worker->join();
        return 0;
      });
  EXPECT_TRUE(ending.went_on()) << ending;
}

TEST_F(AnswererRights, MemoryHasABound) {
  const Ending ending = in_child(enter, [] { return malloc(std::size_t{16} << 30) == nullptr ? -1L : 0L; });
  EXPECT_EQ(ending.error, ENOMEM) << ending;
}

TEST_F(AnswererRights, AnAssertionStillSaysSoAndAborts) {
  EXPECT_EQ(in_child(enter, []() -> long { std::abort(); }).signal, SIGABRT);
}

}  // namespace
}  // namespace har::app
