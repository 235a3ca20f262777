// An upstream that answers every query for A after a fixed time, in order, however many are under way.
//
//   slow_echo ADDRESS PORT MILLISECONDS
//
// Not part of the product.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <vector>

using Clock = std::chrono::steady_clock;

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: slow_echo ADDRESS PORT MILLISECONDS\n"), 2;
  const auto delay = std::chrono::milliseconds(std::atoi(argv[3]));
  struct Reply {
    Clock::time_point due;
    sockaddr_in to;
    std::vector<std::uint8_t> bytes;
  };
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  const int room = 8 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  inet_pton(AF_INET, argv[1], &local.sin_addr);
  if (bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0) return std::perror("bind"), 1;
  std::deque<Reply> waiting;
  for (;;) {
    std::array<std::uint8_t, 1500> packet;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    ssize_t got = 0;
    for (int i = 0; i < 64; ++i) {
      got = recvfrom(fd, packet.data(), packet.size() - 16, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 17) break;
      // Without EDNS the question ends the packet; an answer follows it.
      packet[2] |= 0x80;
      packet[3] = 0x80;
      packet[7] = 1;
      const std::array<std::uint8_t, 16> record{0xC0, 0x0C, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1};
      std::copy(record.begin(), record.end(), packet.begin() + got);
      waiting.push_back({Clock::now() + delay, from, {packet.begin(), packet.begin() + got + 16}});
    }
    const auto now = Clock::now();
    for (; !waiting.empty() && waiting.front().due <= now; waiting.pop_front()) {
      const Reply& reply = waiting.front();
      sendto(fd, reply.bytes.data(), reply.bytes.size(), 0, reinterpret_cast<const sockaddr*>(&reply.to),
             sizeof reply.to);
    }
    const auto left = waiting.empty() ? delay : waiting.front().due - now;
    pollfd watched{fd, POLLIN, 0};
    poll(&watched, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
  }
}
