// The least that TCP health checks can cost: at even steps a non-blocking connect, a wait for it in epoll with a
// time-out in a queue, SO_ERROR, close. Each endpoint in turn; nothing is concluded, written or told.
//
//   tcp_checks CHECKS-A-SECOND PORT ADDRESS...
//
// Runs until it is killed. Not part of the product.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>

using Clock = std::chrono::steady_clock;

int main(int argc, char** argv) {
  if (argc < 4) return std::fprintf(stderr, "usage: tcp_checks CHECKS-A-SECOND PORT ADDRESS...\n"), 2;
  const auto step = std::chrono::nanoseconds(1'000'000'000 / std::atoi(argv[1]));
  std::vector<sockaddr_in> endpoints;
  for (int i = 3; i < argc; ++i) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
    inet_pton(AF_INET, argv[i], &to.sin_addr);
    endpoints.push_back(to);
  }
  const int epoll = epoll_create1(0);
  epoll_event interest{};
  interest.events = EPOLLIN;
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  interest.data.fd = timer;
  epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &interest);
  struct Deadline {
    Clock::time_point at;
    int fd;
    std::uint64_t check;
  };
  std::deque<Deadline> deadlines;               // all time-outs are alike: in the order of the starts
  std::vector<std::uint64_t> check_of(65'536);  // by descriptor; 0: none
  std::uint64_t started = 0;
  std::size_t next = 0;
  Clock::time_point due = Clock::now();
  std::array<epoll_event, 256> events;
  for (;;) {
    const auto now = Clock::now();
    for (; due <= now; due += step) {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      const sockaddr_in& to = endpoints[next++ % endpoints.size()];
      if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) {
        close(fd);
        continue;
      }
      interest.events = EPOLLOUT;
      interest.data.fd = fd;
      epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest);
      check_of[static_cast<std::size_t>(fd)] = ++started;
      deadlines.push_back({now + std::chrono::seconds(1), fd, started});
    }
    for (; !deadlines.empty() && deadlines.front().at <= now; deadlines.pop_front()) {
      const Deadline& late = deadlines.front();
      if (check_of[static_cast<std::size_t>(late.fd)] != late.check) continue;
      check_of[static_cast<std::size_t>(late.fd)] = 0;
      close(late.fd);
    }
    const auto wait = std::max<std::int64_t>(1, (due - Clock::now()).count());
    const itimerspec when{{0, 0}, {wait / 1'000'000'000, wait % 1'000'000'000}};
    timerfd_settime(timer, 0, &when, nullptr);
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (std::size_t i = 0; count > 0 && i < static_cast<std::size_t>(count); ++i) {
      const int fd = events[i].data.fd;
      if (fd == timer) {
        std::uint64_t expirations = 0;
        (void)!read(timer, &expirations, sizeof expirations);
        continue;
      }
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      check_of[static_cast<std::size_t>(fd)] = 0;
      close(fd);
    }
  }
}
