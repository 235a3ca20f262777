// Mutated packets over UDP at a rate, from eight sockets; replies are read and thrown away.
//
//   hostile_packets ADDRESS PORT RATE SECONDS FOLDER…
//
// Each file of the folders is a packet, such as a fuzzing corpus has: in each copy one to five octets are flipped, lost
// or replaced, or the rest is cut off. Prints sent=N replies=N seeds=N. Not part of the product.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;
using Packet = std::vector<std::uint8_t>;

namespace {

constexpr std::size_t kPool = 20'000;
constexpr std::size_t kLongest = 1'400;
constexpr unsigned kBatch = 16;
constexpr int kSockets = 8;

std::vector<Packet> read_seeds(int count, char** folders) {
  std::vector<Packet> seeds;
  for (int i = 0; i < count; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(folders[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      Packet packet{std::istreambuf_iterator<char>(file), {}};
      packet.resize(std::min(packet.size(), kLongest));
      if (!packet.empty()) seeds.push_back(std::move(packet));
    }
  }
  return seeds;
}

Packet mutated(Packet packet, std::mt19937& dice) {
  constexpr std::uint8_t kOdd[] = {0, 1, 63, 64, 127, 128, 192, 255};
  for (unsigned left = 1 + dice() % 5; left > 0 && !packet.empty(); --left) {
    const auto at = packet.begin() + static_cast<std::ptrdiff_t>(dice() % packet.size());
    switch (dice() % 5) {
      case 0:
        *at = static_cast<std::uint8_t>(*at ^ 1U << dice() % 8);
        break;
      case 1:
        *at = kOdd[dice() % 8];
        break;
      case 2:
        packet.erase(at, at + std::min<std::ptrdiff_t>(packet.end() - at, 1 + dice() % 7));
        break;
      case 3:
        packet.erase(at, packet.end());
        break;
      default:
        *at = static_cast<std::uint8_t>(dice());
    }
  }
  return packet;
}

std::uint64_t throw_away_replies(int fd) {
  static std::array<std::array<std::uint8_t, 4'096>, 32> rooms;
  std::array<mmsghdr, 32> messages{};
  std::array<iovec, 32> parts;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    parts[i] = {rooms[i].data(), rooms[i].size()};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int got = recvmmsg(fd, messages.data(), messages.size(), MSG_DONTWAIT, nullptr);
  return got > 0 ? static_cast<std::uint64_t>(got) : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return std::fprintf(stderr, "usage: hostile_packets ADDRESS PORT RATE SECONDS FOLDER…\n"), 2;
  const double rate = std::atof(argv[3]), seconds = std::atof(argv[4]);
  const std::vector<Packet> seeds = read_seeds(argc - 5, argv + 5);
  if (seeds.empty()) return std::fprintf(stderr, "hostile_packets: no seeds\n"), 1;
  std::mt19937 dice(static_cast<std::uint32_t>(Clock::now().time_since_epoch().count()));
  std::vector<Packet> pool;
  while (pool.size() < kPool) pool.push_back(mutated(seeds[dice() % seeds.size()], dice));

  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  inet_pton(AF_INET, argv[1], &to.sin_addr);
  std::array<int, kSockets> sockets;
  for (int& fd : sockets) {
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return std::perror("connect"), 1;
  }
  std::uint64_t sent = 0, replies = 0, turn = 0;
  const auto start = Clock::now();
  for (;;) {
    const double passed = std::chrono::duration<double>(Clock::now() - start).count();
    if (passed >= seconds) break;
    while (static_cast<double>(sent) < passed * rate) {
      std::array<mmsghdr, kBatch> messages{};
      std::array<iovec, kBatch> parts;
      for (unsigned i = 0; i < kBatch; ++i) {
        Packet& packet = pool[dice() % pool.size()];
        parts[i] = {packet.data(), packet.size()};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
      }
      sendmmsg(sockets[++turn % kSockets], messages.data(), kBatch, MSG_DONTWAIT);
      sent += kBatch;
    }
    for (const int fd : sockets) replies += throw_away_replies(fd);
  }
  std::printf("sent=%llu replies=%llu seeds=%zu\n", static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(replies), seeds.size());
}
