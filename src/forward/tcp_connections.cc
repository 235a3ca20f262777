#include "forward/tcp_connections.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/clock.h"
#include "net/sockaddr.h"

namespace har::forward {

using upstream::Place;

TcpConnections::TcpConnections(net::Loop& loop, Pending& pending, Random& random, Received received, Broken broken,
                               Served served)
    : loop_(loop),
      pending_(pending),
      random_(random),
      received_(std::move(received)),
      broken_(std::move(broken)),
      served_(std::move(served)) {}

void TcpConnections::set_upstream(Place place, const IpPort& address) {
  if (addresses_[place] == address) return;
  retire_all(place);
  addresses_[place] = address;
}

std::uint32_t TcpConnections::open_connection(Place place, Instant now) {
  const net::SocketAddress to(addresses_[place]);
  net::Fd fd(socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return kNone;
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd.get(), &to.generic, to.size()) != 0 && errno != EINPROGRESS) return kNone;
  std::uint32_t index = 0;
  while (index < connections_.size() && connections_[index]) ++index;
  if (index == connections_.size()) connections_.emplace_back();
  connections_[index] = std::make_unique<Connection>();
  Connection& c = *connections_[index];
  c.fd = std::move(fd);
  c.serial = ++serial_;
  c.place = place;
  c.channel = pending_.open_channel(index, true);
  c.last_in = now;
  c.last_use = now;
  c.in = std::make_unique_for_overwrite<std::uint8_t[]>(kBuffer);
  c.watch.emplace(loop_, c.fd.get(), net::Watch::kReadWrite,
                  [this, index](net::Watch::Interest what) { ready(index, what); });
  ++open_;
  return index;
}

std::uint32_t TcpConnections::connection_for(Place place, Instant now, bool fresh) {
  std::uint32_t idle = kNone;
  std::uint32_t shared = kNone;
  std::uint32_t least = kNone;
  std::uint32_t count = 0;
  const auto load = [this](std::uint32_t index) { return pending_.channel(connections_[index]->channel).outstanding; };
  const auto is_spent = [this, fresh](std::uint32_t index) { return fresh && connections_[index]->replies > 0; };
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    const Connection* c = connections_[i].get();
    if (c == nullptr || c->place != place || c->gone || is_retired(*c)) continue;
    ++count;
    if (idle == kNone && load(i) == 0) idle = i;
    if (c->shareable && (shared == kNone || load(i) < load(shared))) shared = i;
    // A query that is sent again had a connection that ended after a reply: others that have brought one may be next.
    if (least == kNone || std::pair(is_spent(i), load(i)) < std::pair(is_spent(least), load(least))) least = i;
  }
  if (!fresh) {
    if (idle != kNone) return idle;
    if (shared != kNone && load(shared) < kShareUpTo) return shared;
  } else if (idle != kNone && count >= kMaxConnections) {
    close(idle);
    --count;
  }
  if (count >= kMaxConnections) return least;
  const std::uint32_t another = open_connection(place, now);
  return another != kNone || fresh ? another : least;
}

bool TcpConnections::send(Place place, std::span<std::uint8_t> query, std::uint32_t ref, Instant now, bool fresh) {
  const std::uint32_t index = connection_for(place, now, fresh);
  if (index == kNone) return false;
  Connection& c = *connections_[index];
  if (c.out.size() - c.out_done + query.size() + 2 > kMaxQueued) return false;
  std::uint16_t id = random_.u16();
  for (int draw = 0; pending_.find(c.channel, id) != kNone; ++draw) {
    if (draw == 16) return false;
    id = random_.u16();
  }
  query[0] = static_cast<std::uint8_t>(id >> 8);
  query[1] = static_cast<std::uint8_t>(id);
  c.out.push_back(static_cast<std::uint8_t>(query.size() >> 8));
  c.out.push_back(static_cast<std::uint8_t>(query.size()));
  c.out.insert(c.out.end(), query.begin(), query.end());
  c.last_use = now;
  pending_.link(c.channel, ref, id);
  // What cannot be written at once, and every error, comes through the watch: nothing breaks from inside here.
  if (!c.connecting && c.out_done == 0 && c.out.size() == query.size() + 2) {
    const ssize_t sent = ::send(c.fd.get(), c.out.data(), c.out.size(), MSG_NOSIGNAL);
    if (sent > 0) c.out_done = static_cast<std::size_t>(sent);
    if (c.out_done == c.out.size()) {
      c.out.clear();
      c.out_done = 0;
      return true;
    }
  }
  c.watch->set_interest(net::Watch::kReadWrite);
  return true;
}

void TcpConnections::ready(std::uint32_t index, net::Watch::Interest what) {
  Connection& c = *connections_[index];
  bool alive = true;
  if ((what & net::Watch::kWrite) != 0) {
    if (c.connecting) {
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(c.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      alive = error == 0;
      c.connecting = false;
    }
    alive = alive && flush(index);
  }
  if (!alive) {
    // The upstream may have answered before it closed: what has come counts.
    pending_.channel(c.channel).retired = true;
    if (read(index)) break_off(index);
  } else if ((what & net::Watch::kRead) != 0) {
    read(index);
  }
  served_();
}

bool TcpConnections::flush(std::uint32_t index) {
  Connection& c = *connections_[index];
  while (c.out_done < c.out.size()) {
    const ssize_t sent = ::send(c.fd.get(), c.out.data() + c.out_done, c.out.size() - c.out_done, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    c.out_done += static_cast<std::size_t>(sent);
  }
  c.out.clear();
  c.out_done = 0;
  c.watch->set_interest(net::Watch::kRead);
  return true;
}

bool TcpConnections::read(std::uint32_t index) {
  Connection* const self = connections_[index].get();
  const std::uint64_t serial = self->serial;
  const std::uint32_t channel = self->channel;
  const ssize_t got = recv(self->fd.get(), self->in.get() + self->in_size, kBuffer - self->in_size, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) {
    break_off(index);
    return false;
  }
  self->last_in = net::now();
  self->last_use = self->last_in;
  self->in_size += static_cast<std::size_t>(got);
  // The callee may unlink the last try of a retired connection, which closes it, and reads the message after that.
  std::unique_ptr<std::uint8_t[]> in = std::move(self->in);
  std::size_t from = 0;
  while (self->in_size - from >= 2) {
    std::uint8_t* const at = in.get() + from;
    const auto size = static_cast<std::size_t>(at[0] << 8 | at[1]);
    if (self->in_size - from - 2 < size) break;
    ++self->replies;
    received_(channel, {at + 2, size});
    if (!connections_[index] || connections_[index]->serial != serial) return false;
    from += 2 + size;
  }
  std::memmove(in.get(), in.get() + from, self->in_size - from);
  self->in_size -= from;
  self->in = std::move(in);
  return true;
}

void TcpConnections::break_off(std::uint32_t index) {
  Connection& c = *connections_[index];
  c.watch.reset();
  c.fd.reset();
  c.gone = true;
  const auto channel = c.channel;
  broken_(channel, c.place, c.replies > 0);
  close(index);
}

void TcpConnections::close(std::uint32_t index) {
  pending_.close_channel(connections_[index]->channel);
  connections_[index].reset();
  --open_;
}

void TcpConnections::answered_out_of_order(std::uint32_t channel) {
  connections_[pending_.channel(channel).owner]->shareable = true;
}

void TcpConnections::doubt(std::uint32_t channel, Instant sent) {
  const Connection& c = *connections_[pending_.channel(channel).owner];
  if (!c.shareable || c.last_in <= sent) pending_.channel(channel).retired = true;
}

void TcpConnections::retire_all(Place place) {
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    if (!connections_[i] || connections_[i]->place != place) continue;
    pending_.channel(connections_[i]->channel).retired = true;
    close_if_done(connections_[i]->channel);
  }
}

void TcpConnections::close_if_done(std::uint32_t channel) {
  const Channel& c = pending_.channel(channel);
  if (c.retired && c.outstanding == 0 && !connections_[c.owner]->gone) close(c.owner);
}

void TcpConnections::sweep(Instant now, Duration idle_timeout) {
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    if (!connections_[i] || pending_.channel(connections_[i]->channel).outstanding > 0) continue;
    if (is_retired(*connections_[i]) || now - connections_[i]->last_use >= idle_timeout) close(i);
  }
}

}  // namespace har::forward
