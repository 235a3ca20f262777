// The least that DNS over kept TCP connections can cost: each message comes back with QR set. No look-up, no order,
// no limits.
//
//   tcp_echo ADDRESS PORT
//
// Not part of the product.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr std::size_t kRoom = 65'536;
struct Connection {
  int fd;
  std::size_t kept = 0;
  std::array<std::uint8_t, kRoom> bytes;
};

bool serve(Connection& c) {
  const ssize_t got = read(c.fd, c.bytes.data() + c.kept, c.bytes.size() - c.kept);
  if (got <= 0) return false;
  c.kept += static_cast<std::size_t>(got);
  std::size_t whole = 0;
  while (c.kept - whole >= 2) {
    const std::size_t size = std::size_t{c.bytes[whole]} << 8 | c.bytes[whole + 1];
    if (c.kept - whole - 2 < size) break;
    c.bytes[whole + 4] |= 0x80;
    whole += 2 + size;
  }
  if (whole > 0 && write(c.fd, c.bytes.data(), whole) != static_cast<ssize_t>(whole)) return false;
  c.kept -= whole;
  std::memmove(c.bytes.data(), c.bytes.data() + whole, c.kept);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: tcp_echo ADDRESS PORT\n"), 2;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  inet_pton(AF_INET, argv[1], &local.sin_addr);
  if (bind(listener, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0) return std::perror("bind"), 1;
  listen(listener, 128);
  const int epoll = epoll_create1(0);
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.ptr = nullptr;
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &interest);
  std::array<epoll_event, 64> events;
  for (;;) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (std::size_t i = 0; count > 0 && i < static_cast<std::size_t>(count); ++i) {
      auto* c = static_cast<Connection*>(events[i].data.ptr);
      if (c == nullptr) {
        const int fd = accept(listener, nullptr, nullptr);
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c = new Connection;
        c->fd = fd;
        interest.data.ptr = c;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest);
      } else if (!serve(*c)) {
        close(c->fd);
        delete c;
      }
    }
  }
}
