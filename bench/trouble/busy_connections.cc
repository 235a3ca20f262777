// So many TCP connections of one client, each with queries always under way: as many as it takes at once, again and
// again. Replies are read and thrown away.
//
//   busy_connections ADDRESS PORT CONNECTIONS NAME SECONDS
//
// Prints sent=N octets=N (of replies). Not part of the product.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kAtOnce = 100;

std::vector<std::uint8_t> query(const std::string& host) {
  std::vector<std::uint8_t> message{0, 0, 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  for (std::size_t at = 0; at < host.size();) {
    const std::size_t end = std::min(host.find('.', at), host.size());
    message.push_back(static_cast<std::uint8_t>(end - at));
    message.insert(message.end(), host.begin() + static_cast<std::ptrdiff_t>(at),
                   host.begin() + static_cast<std::ptrdiff_t>(end));
    at = end + 1;
  }
  for (const std::uint8_t octet : {0, 0, 1, 0, 1}) message.push_back(octet);
  message[1] = static_cast<std::uint8_t>(message.size() - 2);
  return message;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return std::fprintf(stderr, "usage: busy_connections ADDRESS PORT CONNECTIONS NAME SECONDS\n"), 2;
  std::signal(SIGPIPE, SIG_IGN);
  const auto one = query(argv[4]);
  std::vector<std::uint8_t> many;
  for (std::size_t i = 0; i < kAtOnce; ++i) many.insert(many.end(), one.begin(), one.end());
  const auto count = static_cast<std::size_t>(std::atoi(argv[3]));
  const rlimit descriptors{count + 64, count + 64};
  setrlimit(RLIMIT_NOFILE, &descriptors);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  inet_pton(AF_INET, argv[1], &to.sin_addr);

  const int epoll = epoll_create1(0);
  std::vector<std::size_t> next(count + 64);  // octet of `many`, by descriptor
  for (std::size_t i = 0; i < count; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return std::perror("connect"), 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.fd = fd;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest);
    const ssize_t taken = write(fd, many.data(), many.size());
    if (taken < 0) return std::perror("write"), 1;
    next[static_cast<std::size_t>(fd)] = static_cast<std::size_t>(taken) % many.size();
  }
  unsigned long long sent = count * kAtOnce, octets = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(std::atof(argv[5]));
  std::array<epoll_event, 256> events;
  std::array<std::uint8_t, 65'536> room;
  while (Clock::now() < end) {
    const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 10);
    for (std::size_t i = 0; ready > 0 && i < static_cast<std::size_t>(ready); ++i) {
      const int fd = events[i].data.fd;
      const ssize_t got = read(fd, room.data(), room.size());
      if (got <= 0) {  // closed by the server
        close(fd);
        continue;
      }
      octets += static_cast<unsigned long long>(got);
      std::size_t& from = next[static_cast<std::size_t>(fd)];  // goes on where the kernel took no more
      const ssize_t taken = write(fd, many.data() + from, many.size() - from);
      if (taken <= 0) continue;
      from = (from + static_cast<std::size_t>(taken)) % many.size();
      if (from == 0) sent += kAtOnce;
    }
  }
  std::printf("sent=%llu octets=%llu\n", sent, octets);
}
