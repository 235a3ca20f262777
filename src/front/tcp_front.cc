// The life of a connection:
//
//   reading --- too much in flight or unread ---> paused --- enough of it gone ---> reading
//      |  the client shuts its end: no more is read, what came is still answered
//      |  nonsense instead of a message, or abandon(): finishing, no more is handled
//      v
//   nothing in flight, nothing queued ---> closed, if the client has shut its end; otherwise
//                                          lingering: our end shut, the rest thrown away ---> closed
//
// From everywhere: broken, idle for too long, or closed to make room.
#include "front/tcp_front.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "front/tcp_connection.h"
#include "front/tcp_listeners.h"
#include "net/clock.h"
#include "net/socket.h"
#include "net/socket_set.h"

namespace har::front {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kReadRoom = 16'384;        // one read; the next connection's turn comes then
constexpr std::uint32_t kMessagesATurn = 128;    // then, after at most four reads more, other sockets have their turn
constexpr std::size_t kReplyRoom = 65'535;       // what a handler may write
constexpr std::size_t kGatherRoom = 2 * 65'536;  // replies of one read that leave together
constexpr std::size_t kBacklogLimit = 256 * 1024;
constexpr std::size_t kTotalBuffers = 64 * 1024 * 1024;  // of all connections: one that wants more is closed
constexpr std::size_t kProgress = 4096;                  // a reader slower than this in an idle timeout is stuck
constexpr std::size_t kDnsHeader = 12;
constexpr int kExpiredATurn = 256;
// Whoever waits for us is not idle; but everything ends, also a reply that was forgotten.
constexpr Duration kWaitLimit = seconds(60);
constexpr Duration kShortestTimer = milliseconds(10);

net::SocketSet::Token token_of(std::uint32_t place, std::uint32_t serial) {
  return static_cast<net::SocketSet::Token>(serial) << 32U | place;
}

std::uint32_t resume_at(std::uint32_t max_in_flight) {
  return max_in_flight > 0 ? max_in_flight - 1 - max_in_flight / 4 : 0;
}

}  // namespace

struct TcpFront::Impl {
  Impl(net::Loop& loop, Limits limits_in, Admit admit_in, Handler handler_in)
      : admit(std::move(admit_in)),
        handler(std::move(handler_in)),
        sockets(
            loop, [this](net::SocketSet::Token token, net::Watch::Interest ready) { on_ready(token, ready); },
            [this] { return may_go_on(); }),
        limits(limits_in),
        listeners(
            loop,
            [this](net::Fd fd, const net::SocketAddress& client, bool wildcard) {
              take(std::move(fd), client, wildcard);
            },
            [this] { return close_longest_idle(false); }),
        idle_timer(loop, [this] { expire(); }),
        resume_timer(loop, [this] { resume(); }),
        read_buffer(std::make_unique_for_overwrite<std::uint8_t[]>(kReadRoom)),
        gathered(std::make_unique_for_overwrite<std::uint8_t[]>(kGatherRoom)) {}

  // coming
  void take(net::Fd fd, const net::SocketAddress& address, bool wildcard);
  bool close_longest_idle(bool even_waiting);
  // reading
  void on_ready(net::SocketSet::Token token, net::Watch::Interest ready);
  void read(TcpConnection& connection);
  void handle(TcpConnection& connection, std::span<const std::uint8_t> fresh);
  std::size_t handle_messages(TcpConnection& connection, std::span<const std::uint8_t> bytes);
  void handle_one(TcpConnection& connection, std::span<const std::uint8_t> message);
  void send_gathered(TcpConnection& connection);
  void resume();
  bool may_go_on();
  bool watch(TcpConnection& connection, net::Watch::Interest interest);
  // ending
  void settle(TcpConnection& connection);
  void set_interest(TcpConnection& connection);
  void linger(TcpConnection& connection);
  void close(TcpConnection& connection);
  void expire();

  bool is_over_limit(const TcpConnection& c) const {
    return c.in_flight >= limits.max_in_flight || c.backlog() > kBacklogLimit;
  }
  void end_query(TcpConnection& connection, bool last) {
    if (last && connection.in_flight > 0) --connection.in_flight;
  }

  // fixed after construction
  const Admit admit;
  const Handler handler;
  // owned by this thread
  net::SocketSet sockets;      // of all connections
  std::uint32_t messages = 0;  // handled since may_go_on() last said no
  Limits limits;
  Stats stats;
  TcpConnections connections;
  std::size_t buffered = 0;  // octets in all connections' buffers
  struct Waiting {
    std::uint32_t place, serial;
  };
  std::vector<Waiting> to_resume;  // have something in their input and may go on
  TcpListeners listeners;
  net::Timer idle_timer;
  net::Timer resume_timer;
  // Not touched before they are used: a daemon without TCP clients has no memory in them.
  std::unique_ptr<std::uint8_t[]> read_buffer;
  std::unique_ptr<std::uint8_t[]> gathered;  // immediate replies of `current`
  std::size_t gathered_size = 0;
  TcpConnection* current = nullptr;  // whose messages are being handled: not destroyed meanwhile
  bool current_closed = false;
};

// ---- coming

void TcpFront::Impl::take(net::Fd fd, const net::SocketAddress& address, bool wildcard) {
  const bool is_ip = address.family() == AF_INET || address.family() == AF_INET6;
  const bool from_here = wildcard && is_ip && net::local_ip(fd.get()) == address.to_ip_port().ip;
  if (!is_ip || !admit(address.to_ip_port().ip, from_here)) {
    ++stats.refused;
    return;
  }
  while (connections.size() > 0 && connections.size() >= limits.max_connections) close_longest_idle(true);
  const int on = 1;  // a reply that comes later must not wait for the acknowledgement of the one before
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ++stats.accepted;
  TcpConnection& connection = connections.add(std::move(fd), address);
  connection.from_here = from_here;
  connections.touch(connection, net::now());
  if (!watch(connection, net::Watch::kRead)) return close(connection);
  if (!idle_timer.is_set()) idle_timer.set(limits.idle_timeout);
}

bool TcpFront::Impl::close_longest_idle(bool even_waiting) {
  TcpConnection* oldest = connections.oldest();
  int looked_at = 0;
  for (TcpConnection* c = oldest; c != nullptr && looked_at < 64; c = c->newer, ++looked_at) {
    if (c->is_waiting()) continue;
    ++stats.closed_for_room;
    close(*c);
    return true;
  }
  if (!even_waiting || oldest == nullptr) return false;
  ++stats.closed_for_room;
  close(*oldest);
  return true;
}

// ---- reading

void TcpFront::Impl::on_ready(net::SocketSet::Token token, net::Watch::Interest ready) {
  const auto place = static_cast<std::uint32_t>(token), serial = static_cast<std::uint32_t>(token >> 32U);
  TcpConnection* connection = connections.find(place, serial);
  if (connection == nullptr) return;
  if ((ready & net::Watch::kWrite) != 0) {
    if (!connection->flush()) return close(*connection);
    if (connection->backlog() == 0 || connection->progress >= kProgress) connections.touch(*connection, net::now());
    settle(*connection);
    connection = connections.find(place, serial);  // settling may have closed it
    if (connection == nullptr) return;
  }
  if ((ready & net::Watch::kRead) != 0 && (connection->interest & net::Watch::kRead) != 0) read(*connection);
}

void TcpFront::Impl::read(TcpConnection& connection) {
  const ssize_t got = recv(connection.fd.get(), read_buffer.get(), kReadRoom, MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) close(connection);
    return;
  }
  if (connection.lingering) {
    if (got == 0) close(connection);
    return;
  }
  if (got == 0) {
    connection.read_closed = true;
    return settle(connection);
  }
  handle(connection, std::span(read_buffer.get(), static_cast<std::size_t>(got)));
}

// Handles the whole messages in what is kept and in `fresh`, and keeps the rest.
void TcpFront::Impl::handle(TcpConnection& connection, std::span<const std::uint8_t> fresh) {
  HAR_ASSERT(current == nullptr);
  current = &connection;
  current_closed = false;
  if (connection.input.empty()) {
    connection.keep_input(fresh.subspan(handle_messages(connection, fresh)));
  } else {
    connection.keep_input(fresh);
    connection.drop_input(handle_messages(connection, connection.input));
  }
  send_gathered(connection);
  current = nullptr;
  if (current_closed) return close(connection);
  settle(connection);
}

std::size_t TcpFront::Impl::handle_messages(TcpConnection& connection, std::span<const std::uint8_t> bytes) {
  std::size_t used = 0;
  while (!current_closed && !connection.finishing) {
    if (is_over_limit(connection)) {
      connection.paused = true;
      break;
    }
    const std::span<const std::uint8_t> rest = bytes.subspan(used);
    // Whoever announces less than a header speaks something else.
    if (rest.size() >= kLengthOctets && rest[0] == 0 && rest[1] < kDnsHeader) {
      connection.finishing = true;
      break;
    }
    const std::optional<std::size_t> size = whole_message(rest);
    if (!size) break;
    handle_one(connection, rest.first(*size).subspan(kLengthOctets));
    used += *size;
  }
  if (used > 0) connections.touch(connection, net::now());
  return connection.finishing ? bytes.size() : used;
}

void TcpFront::Impl::handle_one(TcpConnection& connection, std::span<const std::uint8_t> message) {
  if (kGatherRoom - gathered_size < kLengthOctets + kReplyRoom) send_gathered(connection);
  std::uint8_t* start = gathered.get() + gathered_size;
  net::Asker asker;
  asker.kind = net::Asker::Kind::kTcp;
  asker.from_here = connection.from_here;
  asker.connection = connection.place;
  asker.serial = connection.serial;
  asker.address = connection.address;
  ++messages;
  ++connection.in_flight;  // before the call: send() may come from inside it
  const Answer answer = handler(message, asker, std::span(start + kLengthOctets, kReplyRoom));
  if (answer.outcome == Outcome::kLater) return;
  end_query(connection, true);
  if (answer.outcome == Outcome::kEnd) connection.finishing = true;
  if (answer.outcome != Outcome::kReply) return;
  HAR_ASSERT(answer.size <= kReplyRoom);
  if (gathered_size != static_cast<std::size_t>(start - gathered.get())) {
    // A send() from inside the call has emptied what was gathered.
    std::memmove(gathered.get() + gathered_size + kLengthOctets, start + kLengthOctets, answer.size);
    start = gathered.get() + gathered_size;
  }
  start[0] = static_cast<std::uint8_t>(answer.size >> 8);
  start[1] = static_cast<std::uint8_t>(answer.size);
  gathered_size += kLengthOctets + answer.size;
}

void TcpFront::Impl::send_gathered(TcpConnection& connection) {
  if (gathered_size == 0) return;
  iovec part{.iov_base = gathered.get(), .iov_len = gathered_size};
  gathered_size = 0;
  if (!current_closed && !connection.write(std::span(&part, 1))) close(connection);
}

void TcpFront::Impl::resume() {
  messages = 0;
  std::size_t resumed = 0;
  const std::size_t count = to_resume.size();
  do {
    const Waiting waiting = to_resume[resumed++];
    TcpConnection* connection = connections.find(waiting.place, waiting.serial);
    if (connection != nullptr) handle(*connection, {});
  } while (resumed < count && may_go_on());
  to_resume.erase(to_resume.begin(), to_resume.begin() + static_cast<std::ptrdiff_t>(resumed));
  if (!to_resume.empty()) resume_timer.set(Duration::zero());
}

// Whether more connections have their turn before everything else of this worker has one.
bool TcpFront::Impl::may_go_on() {
  if (messages < kMessagesATurn) return true;
  messages = 0;
  return false;
}

// False: the kernel has no memory for it.
bool TcpFront::Impl::watch(TcpConnection& connection, net::Watch::Interest interest) {
  const net::Watch::Interest before = std::exchange(connection.interest, interest);
  return sockets.change(connection.fd.get(), token_of(connection.place, connection.serial), before, interest) == 0;
}

// ---- after every change

// Draws the conclusions: goes on reading or not, finishes, closes. `connection` may be gone afterwards.
void TcpFront::Impl::settle(TcpConnection& connection) {
  if (&connection == current) return;  // handle() settles it
  const std::size_t now_buffered = connection.input.capacity() + connection.output.capacity();
  const bool grew = now_buffered > connection.accounted;
  buffered = buffered - connection.accounted + now_buffered;
  connection.accounted = now_buffered;
  if (grew && buffered > kTotalBuffers) return close(connection);

  if (connection.paused && connection.in_flight <= resume_at(limits.max_in_flight) &&
      connection.backlog() <= kBacklogLimit / 2) {
    connection.paused = false;
    if (!connection.input.empty()) {  // a whole message, or nonsense, which need not be whole to end it
      to_resume.push_back({connection.place, connection.serial});
      if (!resume_timer.is_set()) resume_timer.set(Duration::zero());
    }
  }
  const bool heard_all = connection.finishing || (connection.read_closed && !connection.has_whole_message());
  if (heard_all && connection.in_flight == 0 && connection.backlog() == 0 && !connection.lingering) {
    if (connection.read_closed) return close(connection);
    linger(connection);
  }
  set_interest(connection);
}

void TcpFront::Impl::set_interest(TcpConnection& connection) {
  const bool reads = connection.lingering || (!connection.read_closed && !connection.finishing && !connection.paused &&
                                              !connection.has_whole_message());
  const bool writes = connection.backlog() > 0;
  const auto interest = static_cast<net::Watch::Interest>((reads ? net::Watch::kRead : net::Watch::kNone) |
                                                          (writes ? net::Watch::kWrite : net::Watch::kNone));
  if (!watch(connection, interest)) close(connection);
}

// Closing with unread octets would reset the connection and could destroy replies under way to the client.
void TcpFront::Impl::linger(TcpConnection& connection) {
  shutdown(connection.fd.get(), SHUT_WR);
  connection.lingering = true;
  connections.touch(connection, net::now());
}

void TcpFront::Impl::close(TcpConnection& connection) {
  if (&connection == current) {
    current_closed = true;
    return;
  }
  buffered -= connection.accounted;
  connections.remove(connection);
}

void TcpFront::Impl::expire() {
  const Instant now = net::now();
  bool any_waits = false;
  TcpConnection* c = connections.oldest();
  int closed = 0;
  while (c != nullptr && c->last_activity + limits.idle_timeout <= now) {
    if (closed == kExpiredATurn) return idle_timer.set(kShortestTimer);
    TcpConnection* const next = c->newer;
    if (c->is_waiting() && c->last_activity + limits.idle_timeout + kWaitLimit > now) {
      any_waits = true;
    } else {
      ++stats.closed_idle;
      ++closed;
      close(*c);
    }
    c = next;
  }
  Duration next_look = Duration::max();
  if (any_waits) next_look = std::min<Duration>(limits.idle_timeout / 4, seconds(1));
  if (c != nullptr) next_look = std::min(next_look, c->last_activity + limits.idle_timeout - now);
  if (next_look != Duration::max()) idle_timer.set(std::max<Duration>(next_look, kShortestTimer));
}

// ---- the public face

TcpFront::TcpFront(net::Loop& loop, Limits limits, Admit admit, Handler handler)
    : impl_(std::make_unique<Impl>(loop, limits, std::move(admit), std::move(handler))) {}

TcpFront::~TcpFront() = default;

void TcpFront::serve(std::vector<net::Fd> listeners) { impl_->listeners.serve(std::move(listeners)); }

void TcpFront::set_limits(Limits limits) {
  impl_->limits = limits;
  while (impl_->connections.size() > limits.max_connections) impl_->close_longest_idle(true);
  impl_->expire();
}

void TcpFront::send(const net::Asker& asker, std::span<const std::uint8_t> reply, bool last) {
  TcpConnection* connection = impl_->connections.find(asker.connection, asker.serial);
  if (connection == nullptr || connection->lingering || reply.size() > 65'535) return;
  if (connection == impl_->current) impl_->send_gathered(*connection);
  impl_->end_query(*connection, last);
  std::uint8_t length[kLengthOctets] = {static_cast<std::uint8_t>(reply.size() >> 8),
                                        static_cast<std::uint8_t>(reply.size())};
  iovec parts[2] = {{.iov_base = length, .iov_len = kLengthOctets},
                    {.iov_base = const_cast<std::uint8_t*>(reply.data()), .iov_len = reply.size()}};
  const bool was_taken = connection->backlog() == 0;  // otherwise the client's time to take it runs already
  if (!connection->write(parts)) return impl_->close(*connection);
  if (was_taken) impl_->connections.touch(*connection, net::now());
  impl_->settle(*connection);
}

void TcpFront::abandon(const net::Asker& asker) {
  TcpConnection* connection = impl_->connections.find(asker.connection, asker.serial);
  if (connection == nullptr) return;
  impl_->end_query(*connection, true);
  connection->finishing = true;
  impl_->settle(*connection);
}

std::optional<std::size_t> TcpFront::backlog(const net::Asker& asker) const {
  const TcpConnection* connection = impl_->connections.find(asker.connection, asker.serial);
  if (connection == nullptr || connection->lingering) return std::nullopt;
  return connection->backlog();
}

std::size_t TcpFront::connections() const { return impl_->connections.size(); }
const TcpFront::Stats& TcpFront::stats() const { return impl_->stats; }

}  // namespace har::front
