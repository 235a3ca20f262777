// The UDP sockets towards the upstreams: for each upstream a fixed number of slots (64), each with a connected socket
// on a port of its own, renewed at use after 10 s or 1,000 queries. The queries of one turn of the loop share a slot
// drawn at random and leave by one system call, so a busy forwarder's queries come from 64 ports; an idle one has no
// sockets open, and none to guess. That they share it makes none easier to forge: for each reply that is waited for,
// one pair of port and ID in 2^32 is right, however these pairs lie. Connected: the kernel
// takes replies from the upstream's address and port only, and reports a refusal (ICMP). The port is the kernel's
// random one: its range leaves the ports of services alone, which a choice of ours would not. A renewed socket with
// queries outstanding listens on until they end. All sockets hang on one epoll descriptor, of which the loop sees only
// one: renewing allocates nothing. Source: SEMANTICS "Forwarding"; RFC 5452 9.2.  Thread: one worker.  Tested by:
// udp_sockets_test.cc, forwarder_test.cc
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "forward/pending.h"
#include "forward/random.h"
#include "net/fd.h"
#include "net/loop.h"
#include "upstream/places.h"

namespace har::forward {

inline constexpr Duration kSocketAge = std::chrono::seconds(10);
inline constexpr std::uint32_t kSocketUses = 1'000;

class UdpSockets {
 public:
  // A datagram on this channel. It may be changed in place. The callee may send.
  using Received = std::function<void(std::uint32_t channel, std::span<std::uint8_t> datagram)>;
  // The upstream's host refused something sent on this channel. Called from the loop, not from inside send().
  using Refused = std::function<void(std::uint32_t channel)>;
  // What was queued could not be sent: the try is not linked any more. Called from inside flush().
  using Unsent = std::function<void(std::uint32_t ref)>;
  using Served = std::function<void()>;  // after each round of datagrams

  UdpSockets(net::Loop& loop, Pending& pending, Random& random, std::uint32_t slots, Received received, Refused refused,
             Unsent unsent, Served served);

  void set_upstream(upstream::Place place, const IpPort& address);  // before the first send()
  // Links the try `ref` with a new ID, unique on its socket; its record's query leaves with that ID at the next
  // flush(). false: there is no socket; the try is not linked.
  bool queue(upstream::Place place, std::uint32_t ref, Instant now);
  void flush();
  // The same at once, on another socket than a stale one. false: it cannot be sent.
  // A refusal that the kernel reports when something is sent belongs to an earlier query: it is kept for refusals().
  bool send(upstream::Place place, std::uint32_t ref, Instant now);
  void refusals();  // tells those

  void retire(std::uint32_t channel);         // the next query of its slot gets a new socket
  void retire_all(upstream::Place place);     // the route may have changed, or the upstream has left
  void close_if_done(std::uint32_t channel);  // after an unlink
  void sweep(Instant now);                    // closes what is too old and has nothing outstanding
  std::size_t open() const { return open_; }

 private:
  static constexpr unsigned kBatch = 32;
  static constexpr std::size_t kDatagram = 65'535;
  struct Socket {
    net::Fd fd;
    std::uint32_t channel = kNone;
    std::uint32_t serial = 0;  // of its epoll registration: the place is used again
    std::uint32_t uses = 0;
    upstream::Place place = 0;
    std::uint32_t slot = kNone;  // kNone: retired
    Instant opened{};
  };
  struct Refusal {
    std::uint32_t socket;
    std::uint32_t serial;
  };
  struct Queued {
    std::uint32_t ref;
    std::uint32_t socket;
    std::uint32_t serial;  // the socket's
    std::array<std::uint8_t, 2> id;
  };

  Socket* socket_for(upstream::Place place, std::uint32_t slot, Instant now);
  std::uint32_t open_socket(upstream::Place place, std::uint32_t slot, Instant now);  // or kNone
  void retire_socket(std::uint32_t index);
  void close_socket(std::uint32_t index);
  std::optional<std::uint16_t> unused_id(std::uint32_t channel);
  bool waits(const Queued& queued);
  void send_queued();
  std::size_t send_some(std::size_t first);
  void note_refusal(std::uint32_t socket, std::uint32_t serial);
  std::uint32_t& slot_of(upstream::Place place, std::uint32_t slot) { return slots_[place * slot_count_ + slot]; }
  void serve();
  void drain(std::uint32_t index, std::uint32_t serial);
  void release_large(std::size_t at);

  // fixed after construction
  Pending& pending_;
  Random& random_;
  const std::uint32_t slot_count_;
  Received received_;
  Refused refused_;
  Unsent unsent_;
  Served served_;
  // owned by this thread
  std::array<IpPort, upstream::kMaxPlaces> addresses_{};
  std::vector<std::uint32_t> slots_;  // per place and slot: a socket or kNone
  std::vector<Socket> sockets_;
  std::vector<std::uint32_t> free_;
  std::vector<Refusal> refusals_;
  std::size_t open_ = 0;
  std::uint32_t serial_ = 0;
  std::uint32_t turn_slot_ = 0;  // of what is queued
  std::array<Queued, kBatch> queued_;
  std::size_t queued_count_ = 0;
  std::array<iovec, 2 * kBatch> out_parts_{};
  std::array<mmsghdr, kBatch> out_{};
  std::vector<Queued> failed_;  // of this turn
  std::unique_ptr<std::uint8_t[]> buffers_;
  std::array<iovec, kBatch> vectors_{};
  std::array<mmsghdr, kBatch> headers_{};
  net::Fd epoll_;
  std::optional<net::Watch> watch_;
};

}  // namespace har::forward
