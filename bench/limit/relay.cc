// The least that forwarding over UDP can cost: recvmmsg from clients, a new message ID, sendmmsg to the upstream over
// one connected socket, and back the same way. No health, no time-outs, no check of the question, one port.
//
//   relay ADDRESS PORT UPSTREAM-ADDRESS UPSTREAM-PORT
//
// Not part of the product.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kRoom = 4096;

struct Waiting {
  sockaddr_in client;
  std::uint16_t id;
};

struct Batch {
  std::array<std::array<std::uint8_t, kRoom>, kBatch> bytes;
  std::array<sockaddr_in, kBatch> peer;
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> headers{};

  int receive(int fd, bool with_peer) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      parts[i] = {bytes[i].data(), kRoom};
      headers[i].msg_hdr = {
          with_peer ? &peer[i] : nullptr, with_peer ? sizeof(sockaddr_in) : 0, &parts[i], 1, nullptr, 0, 0};
    }
    return recvmmsg(fd, headers.data(), kBatch, MSG_DONTWAIT, nullptr);
  }
};

sockaddr_in address_of(const char* ip, const char* port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  inet_pton(AF_INET, ip, &out.sin_addr);
  return out;
}

int udp_socket() {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const int room = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  return fd;
}

std::array<Waiting, 65'536> waiting;
Batch batch;

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "usage: relay ADDRESS PORT UPSTREAM-ADDRESS UPSTREAM-PORT\n"), 2;
  const sockaddr_in local = address_of(argv[1], argv[2]);
  const sockaddr_in upstream = address_of(argv[3], argv[4]);
  const int clients = udp_socket();
  const int out = udp_socket();
  if (bind(clients, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) return std::perror("bind"), 1;
  if (connect(out, reinterpret_cast<const sockaddr*>(&upstream), sizeof upstream) != 0)
    return std::perror("connect"), 1;

  std::uint16_t next_id = 0;
  std::array<pollfd, 2> watched{pollfd{clients, POLLIN, 0}, pollfd{out, POLLIN, 0}};
  while (poll(watched.data(), watched.size(), -1) > 0) {
    if (watched[0].revents != 0) {
      const int count = batch.receive(clients, true);
      for (std::size_t i = 0; count > 0 && i < static_cast<std::size_t>(count); ++i) {
        std::uint8_t* const bytes = batch.bytes[i].data();
        const std::uint16_t id = next_id++;
        waiting[id].client = batch.peer[i];
        std::memcpy(&waiting[id].id, bytes, 2);
        std::memcpy(bytes, &id, 2);
        batch.parts[i].iov_len = batch.headers[i].msg_len;
        batch.headers[i].msg_hdr.msg_name = nullptr;
        batch.headers[i].msg_hdr.msg_namelen = 0;
      }
      if (count > 0) sendmmsg(out, batch.headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    }
    if (watched[1].revents != 0) {
      const int count = batch.receive(out, false);
      for (std::size_t i = 0; count > 0 && i < static_cast<std::size_t>(count); ++i) {
        std::uint8_t* const bytes = batch.bytes[i].data();
        std::uint16_t id = 0;
        std::memcpy(&id, bytes, 2);
        std::memcpy(bytes, &waiting[id].id, 2);
        batch.parts[i].iov_len = batch.headers[i].msg_len;
        batch.headers[i].msg_hdr.msg_name = &waiting[id].client;
        batch.headers[i].msg_hdr.msg_namelen = sizeof(sockaddr_in);
      }
      if (count > 0) sendmmsg(clients, batch.headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    }
  }
  return 1;
}
