// The buffers of one round, made once: packets in by recvmmsg, replies out. Nothing is allocated per packet.
// Thread: one worker.  Tested by: udp_front_test.cc
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "front/packet_info.h"
#include "net/sockaddr.h"

namespace har::front {

class UdpBatch {
 public:
  static constexpr std::size_t kPackets = 32;      // a system call for 32 packets costs each of them next to nothing
  static constexpr std::size_t kReplyRoom = 4096;  // what a handler may write

  UdpBatch();
  ~UdpBatch();
  UdpBatch(const UdpBatch&) = delete;
  UdpBatch& operator=(const UdpBatch&) = delete;

  // One recvmmsg: the number of packets, 0 when there is none, -1 with errno for anything else than EAGAIN and EINTR.
  // `with_info`: the socket reports PacketInfo. Forgets the replies of the round before.
  int receive(int fd, bool with_info);
  std::span<const std::uint8_t> packet(std::size_t i) const { return {slot(i), in_[i].msg_len}; }
  const net::SocketAddress& from(std::size_t i) const { return from_[i]; }
  // The PacketInfo that came with packet `i`; its size is 0 where none came.
  std::span<const std::byte> info(std::size_t i) const;

  // Where the next reply goes, and that it was written there: it will go to the sender of packet `i`, from `info`.
  std::span<std::uint8_t> reply_room() { return {replies_.get() + out_count_ * kReplyStride, kReplyRoom}; }
  void add_reply(std::size_t i, std::size_t size, std::span<std::byte> info);
  // What was added, for UdpSender; valid until the next one is added.
  std::span<mmsghdr> take_replies();

  // Gives the memory that a packet of more than a page took back to the system.
  void release_large(std::size_t i);

 private:
  // A cache line more than the room: rooms at equal places in their pages would share cache sets.
  static constexpr std::size_t kReplyStride = kReplyRoom + 64;

  std::uint8_t* slot(std::size_t i) const;

  // Each packet has 64 KiB of address space of its own, so that the largest one comes whole; memory is what packets
  // have filled, a page for a usual one.
  std::uint8_t* space_;
  std::unique_ptr<std::uint8_t[]> replies_;
  std::array<mmsghdr, kPackets> in_{};
  std::array<iovec, kPackets> in_parts_{};
  std::array<net::SocketAddress, kPackets> from_;
  std::array<PacketInfo, kPackets> info_{};
  std::array<mmsghdr, kPackets> out_{};
  std::array<iovec, kPackets> out_parts_{};
  std::size_t out_count_ = 0;
};

}  // namespace har::front
