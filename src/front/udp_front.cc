#include "front/udp_front.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/assert.h"
#include "front/local_address.h"
#include "front/udp_batch.h"
#include "front/udp_outbox.h"
#include "front/udp_sender.h"
#include "net/clock.h"
#include "net/socket.h"

namespace har::front {
namespace {

using std::chrono::milliseconds;

static_assert(UdpBatch::kPackets <= UdpSender::kMost);
// Then the other sockets, timers and upstreams have their turn.
constexpr int kBatchesATurn = 8;
constexpr std::size_t kPacketsATurn = 2 * UdpBatch::kPackets;
constexpr std::size_t kBurst = 8;  // so many packets in a turn are worth two system calls

// A socket that is no longer served stays for late replies to what came through it, at most this long: the forwarder
// gives up after 2 s.
constexpr Duration kRetirement = milliseconds(2200);
constexpr Duration kRetiredLook = milliseconds(50);
// After an error that reading does not clear (no memory, say), or where it cannot be watched for the same reason, a
// socket rests instead of spinning.
constexpr Duration kRest = milliseconds(10);

void ask_for_packet_info(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);  // of the two, the wrong family's fails: no matter
  setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

}  // namespace

struct UdpFront::Impl {
  struct Socket {
    net::Fd fd;
    std::uint64_t cookie = 0;
    std::uint32_t serial = 0;
    bool wildcard = false;
    bool loopback = false;
    bool resting = false;
    bool busy = false;
    bool bursts = false;              // so it was the last time
    std::uint64_t unanswered = 0;     // queries without an immediate reply, less the replies that came later
    Instant retire_at = kNever;       // when it closes at the latest; kNever: in service
    std::optional<net::Watch> watch;  // last: ends before its descriptor is closed
  };

  Impl(net::Loop& loop_in, LookAhead look_ahead_in, Handler handler_in)
      : loop(loop_in),
        look_ahead(std::move(look_ahead_in)),
        handler(std::move(handler_in)),
        retire_timer(loop_in, [this] { look_at_retired(); }),
        rest_timer(loop_in, [this] { wake_resting(); }),
        busy_timer(loop_in, [this] { serve_busy(); }),
        turn_end(loop_in, [this] { outbox.flush(); }) {}

  void adopt(net::Fd fd, std::uint64_t cookie);
  void turn(std::size_t place);
  std::size_t serve_batch(std::size_t place);  // how many it got
  void serve_busy();
  void look_at_retired();
  void rest(Socket& socket);
  void wake_resting();
  bool is_drained(const Socket& socket) const;

  // fixed after construction
  net::Loop& loop;
  const LookAhead look_ahead;
  const Handler handler;
  // owned by this thread
  std::vector<std::unique_ptr<Socket>> sockets;  // by Asker::socket; a closed one leaves its place empty
  std::uint32_t next_serial = 1;
  LocalAddresses local_addresses;
  UdpBatch batch;
  std::array<PacketInfo, UdpBatch::kPackets> reply_info{};
  UdpSender sender;
  UdpOutbox outbox{sender};
  net::Timer retire_timer;
  net::Timer rest_timer;
  net::Timer busy_timer;
  net::Later turn_end;
};

void UdpFront::Impl::adopt(net::Fd fd, std::uint64_t cookie) {
  std::size_t place = 0;
  while (place < sockets.size() && sockets[place]) ++place;
  HAR_ASSERT(place <= UINT16_MAX);
  if (place == sockets.size()) sockets.emplace_back();
  auto socket = std::make_unique<Socket>();
  socket->cookie = cookie;
  socket->serial = next_serial++;
  const auto local = net::local_ip(fd.get());
  socket->wildcard = local && local->is_unspecified();
  socket->loopback = local && local->is_loopback();
  if (socket->wildcard) ask_for_packet_info(fd.get());
  socket->fd = std::move(fd);
  socket->watch.emplace(loop, socket->fd.get(), net::Watch::kRead,
                        [this, place](net::Watch::Interest) { turn(place); });
  sockets[place] = std::move(socket);
}

// A socket that gives a full batch is busy: it is read every turn without being watched, until it gives nothing. For
// every packet that leaves a watched one the kernel looks up the watcher (sock_wfree, ep_poll_callback), a twentieth of
// what a query costs, and each change of mind is a system call: so a socket that came in bursts is not watched either
// while the next burst is answered.
// Who comes with others is mostly followed by more while they are answered: to look costs less than a turn of the loop.
void UdpFront::Impl::turn(std::size_t place) {
  if (sockets[place]->bursts) sockets[place]->watch->set_interest(net::Watch::kNone);
  std::size_t got = 0, most = 0, all = 0;
  for (int i = 0; i < kBatchesATurn && all < kPacketsATurn; ++i) {
    got = serve_batch(place);
    most = std::max(most, got);
    all += got;
    if (got <= 1) break;
  }
  Socket& socket = *sockets[place];
  const bool busy = most == UdpBatch::kPackets || (socket.busy && all > 0);
  if (busy) busy_timer.set(Duration::zero());
  socket.busy = busy;
  socket.bursts = all >= kBurst;
  if (!socket.resting && !socket.watch->set_interest(busy ? net::Watch::kNone : net::Watch::kRead)) rest(socket);
}

void UdpFront::Impl::serve_busy() {
  for (std::size_t place = 0; place < sockets.size(); ++place) {
    if (sockets[place] && sockets[place]->busy) turn(place);
  }
}

std::size_t UdpFront::Impl::serve_batch(std::size_t place) {
  Socket& socket = *sockets[place];
  const int received = batch.receive(socket.fd.get(), socket.wildcard);
  if (received < 0) {
    socket.watch->set_interest(net::Watch::kNone);
    rest(socket);
    return 0;
  }
  const auto count = static_cast<std::size_t>(received);
  net::Asker asker;
  asker.kind = net::Asker::Kind::kUdp;
  asker.socket = static_cast<std::uint16_t>(place);
  asker.serial = socket.serial;
  std::array<std::span<const std::uint8_t>, UdpBatch::kPackets> packets;
  for (std::size_t i = 0; i < count; ++i) packets[i] = batch.packet(i);
  if (count > 1) look_ahead({packets.data(), count});
  for (std::size_t i = 0; i < count; ++i) {
    asker.address = batch.from(i);
    asker.connection = socket.wildcard ? local_addresses.number_of(batch.info(i)) : LocalAddresses::kUnknown;
    asker.from_here = socket.wildcard && is_from_here(batch.info(i), batch.from(i));
    ++socket.unanswered;  // before the call: send() may come from inside it
    const std::size_t size = handler(packets[i], asker, batch.reply_room());
    if (size > 0) {
      --socket.unanswered;
      batch.add_reply(i, size, local_addresses.write(asker.connection, reply_info[i]));
    }
    batch.release_large(i);
  }
  sender.send(socket.fd.get(), socket.loopback, batch.take_replies());
  return count;
}

void UdpFront::Impl::rest(Socket& socket) {
  socket.resting = true;
  if (!rest_timer.is_set()) rest_timer.set(kRest);
}

void UdpFront::Impl::wake_resting() {
  for (auto& socket : sockets) {
    if (!socket || !socket->resting) continue;
    socket->resting = false;
    if (!socket->watch->set_interest(net::Watch::kRead)) rest(*socket);
  }
}

bool UdpFront::Impl::is_drained(const Socket& socket) const {
  std::uint8_t octet = 0;
  const bool empty = recv(socket.fd.get(), &octet, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
  return empty && (socket.unanswered == 0 || net::now() >= socket.retire_at);
}

void UdpFront::Impl::look_at_retired() {
  outbox.flush();  // before a socket is closed
  bool any_left = false;
  for (auto& socket : sockets) {
    if (!socket || socket->retire_at == kNever) continue;
    if (is_drained(*socket) || net::now() >= socket->retire_at + kRetirement) {
      socket->watch.reset();
      socket.reset();
    } else {
      any_left = true;
    }
  }
  if (any_left) retire_timer.set(kRetiredLook);
}

UdpFront::UdpFront(net::Loop& loop, LookAhead look_ahead, Handler handler)
    : impl_(std::make_unique<Impl>(loop, std::move(look_ahead), std::move(handler))) {}

UdpFront::~UdpFront() = default;

void UdpFront::serve(std::vector<net::Fd> sockets) {
  for (auto& socket : impl_->sockets) {
    if (socket && socket->retire_at == kNever) socket->retire_at = net::now() + kRetirement;
  }
  for (net::Fd& fd : sockets) {
    const std::uint64_t cookie = net::socket_cookie(fd.get());
    bool known = false;
    for (auto& socket : impl_->sockets) {
      if (!socket || socket->cookie != cookie) continue;
      socket->retire_at = kNever;
      known = true;
    }
    if (!known) impl_->adopt(std::move(fd), cookie);
  }
  impl_->look_at_retired();
}

void UdpFront::hand_over() {
  for (auto& socket : impl_->sockets) {
    if (!socket) continue;
    socket->busy = socket->resting = false;
    socket->watch->set_interest(net::Watch::kNone);
  }
}

void UdpFront::send(const net::Asker& asker, std::span<const std::uint8_t> reply) {
  if (asker.socket >= impl_->sockets.size()) return;
  Impl::Socket* socket = impl_->sockets[asker.socket].get();
  if (socket == nullptr || socket->serial != asker.serial) return;
  if (socket->unanswered > 0) --socket->unanswered;
  PacketInfo info;
  impl_->outbox.add(socket->fd.get(), socket->loopback, asker.address, reply,
                    impl_->local_addresses.write(asker.connection, info));
  impl_->turn_end.ask();
}

void UdpFront::flush() { impl_->outbox.flush(); }

}  // namespace har::front
