// Sends batches of datagrams. Where many leave at once over loopback, those to one client leave as one message that the
// kernel cuts again (UDP_SEGMENT): the way through its layers, most of what a reply costs, is gone once instead of once
// a reply. A resolver, a proxy or a runtime with one socket for all its queries has many replies in a batch; two that
// are joined gain nothing yet. Few replies leave one by one, so that tcpdump shows them as they are, and so does
// whatever leaves the host: filters, bridges and devices may have their own idea of such a message.
// Source: udp(7) UDP_SEGMENT, Linux 4.18.  Thread: one worker.  Tested by: udp_sender_test.cc
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace har::front {

class UdpSender {
 public:
  static constexpr std::size_t kMost = 32;  // messages a call

  // Asks the kernel what it can, with a socket made for that: before there is a filter of system calls.
  UdpSender();

  // `loopback`: the socket is bound to an address of that. Sends all; the name of each is a net::SocketAddress, and it
  // has one part. In order, but for those to one client. Never blocks; a message that the kernel does not take is lost,
  // the others are not.
  void send(int fd, bool loopback, std::span<mmsghdr> messages);

  bool joins() const { return joins_; }

 private:
  struct Control {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> bytes;
  };

  std::span<mmsghdr> join(std::span<mmsghdr> messages);
  void send_parts(int fd, const msghdr& joined);

  bool joins_ = false;
  std::array<mmsghdr, kMost> joined_{};
  std::array<iovec, kMost> parts_{};
  std::array<Control, kMost> control_{};
};

}  // namespace har::front
