// UDP towards clients: reads batches, hands each packet on, sends the replies in batches.
// Knows nothing of DNS.  Thread: one worker.  Tested by: udp_front_test.cc
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "net/asker.h"
#include "net/fd.h"
#include "net/loop.h"

namespace har::front {

class UdpFront {
 public:
  // Writes an immediate reply to `out` (at least 4096 octets) and returns its size, or returns 0: nothing (now).
  using Handler = std::function<std::size_t(std::span<const std::uint8_t> packet, const net::Asker& asker,
                                            std::span<std::uint8_t> out)>;

  // All packets of a batch (at most UdpBatch::kPackets), before the first of them goes to the handler.
  using LookAhead = std::function<void(std::span<const std::span<const std::uint8_t>> packets)>;

  UdpFront(net::Loop& loop, LookAhead look_ahead, Handler handler);
  ~UdpFront();

  // The sockets to serve from now on: bound, non-blocking. Those not among them any more are served until empty
  // (what waits in them is answered; late replies leave through them for 2.2 s at most) and then closed. Duplicates of
  // a socket already served (same cookie) are dropped. A socket bound to a wildcard address answers from the address
  // asked (IP_PKTINFO, IPV6_PKTINFO), at once and later. Not from inside the handler.
  void serve(std::vector<net::Fd> sockets);
  // Reads no more: another process serves the same sockets, what waits in them is its. Late replies still leave.
  void hand_over();
  // A reply that became ready later. Leaves at the end of this turn of the loop, with the others of that turn. Never
  // blocks: a full socket buffer loses the reply, as UDP does.
  void send(const net::Asker& asker, std::span<const std::uint8_t> reply);
  void flush();  // where the loop has no more turns

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace har::front
