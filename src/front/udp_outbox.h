// Replies that became ready later, until they leave together. Copies what it is given: a reply stands in a buffer that
// the next datagram takes.
// Thread: one worker.  Tested by: udp_front_test.cc
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "front/packet_info.h"
#include "front/udp_sender.h"
#include "net/sockaddr.h"

namespace har::front {

class UdpOutbox {
 public:
  explicit UdpOutbox(UdpSender& sender);

  // `fd` must stay open until flush(); `loopback`: it is bound to that. `info`: what PacketInfo says, or nothing.
  // May send what is there already, and sends a reply that is too large to be copied at once.
  void add(int fd, bool loopback, const net::SocketAddress& to, std::span<const std::uint8_t> reply,
           std::span<const std::byte> info);
  // Never blocks; what the kernel does not take is lost.
  void flush();

 private:
  static constexpr std::size_t kReplies = UdpSender::kMost;
  static constexpr std::size_t kRoom = 32 * 1024;

  UdpSender& sender_;
  int fd_ = -1;  // of all that wait
  bool loopback_ = false;
  std::size_t count_ = 0;
  std::size_t used_ = 0;
  std::unique_ptr<std::uint8_t[]> room_;
  std::array<net::SocketAddress, kReplies> to_;
  std::array<PacketInfo, kReplies> info_{};
  std::array<iovec, kReplies> parts_{};
  std::array<mmsghdr, kReplies> headers_{};
};

}  // namespace har::front
