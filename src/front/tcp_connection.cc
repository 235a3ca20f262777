#include "front/tcp_connection.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/assert.h"

namespace har::front {
namespace {

// sendmsg for a non-blocking socket: octets taken, 0 when it is full, -1 when it is broken.
ssize_t try_send(int fd, std::span<iovec> parts) {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  for (;;) {
    const ssize_t taken = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken >= 0) return taken;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? 0 : -1;
  }
}

}  // namespace

void TcpConnection::keep_input(std::span<const std::uint8_t> rest) {
  if (!rest.empty()) input.insert(input.end(), rest.begin(), rest.end());
}

void TcpConnection::drop_input(std::size_t used) {
  if (used == input.size()) {
    std::vector<std::uint8_t>().swap(input);
  } else {
    input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(used));
  }
}

bool TcpConnection::write(std::span<iovec> parts) {
  std::size_t taken = 0;
  if (backlog() == 0) {
    const ssize_t sent = try_send(fd.get(), parts);
    if (sent < 0) return false;
    taken = static_cast<std::size_t>(sent);
  } else if (output_taken >= output.size() / 2) {
    output.erase(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(output_taken));
    output_taken = 0;
  }
  for (const iovec& part : parts) {
    const auto* bytes = static_cast<const std::uint8_t*>(part.iov_base);
    const std::size_t skip = std::min(taken, part.iov_len);
    taken -= skip;
    output.insert(output.end(), bytes + skip, bytes + part.iov_len);
  }
  return true;
}

bool TcpConnection::flush() {
  if (backlog() == 0) return true;
  iovec part{.iov_base = output.data() + output_taken, .iov_len = backlog()};
  const ssize_t sent = try_send(fd.get(), std::span(&part, 1));
  if (sent < 0) return false;
  output_taken += static_cast<std::size_t>(sent);
  progress += static_cast<std::size_t>(sent);
  if (backlog() == 0) {
    std::vector<std::uint8_t>().swap(output);
    output_taken = 0;
  }
  return true;
}

TcpConnection& TcpConnections::add(net::Fd fd, const net::SocketAddress& address) {
  if (free_places_.empty()) {
    free_places_.push_back(static_cast<std::uint32_t>(places_.size()));
    places_.emplace_back();
  }
  const std::uint32_t place = free_places_.back();
  free_places_.pop_back();
  places_[place] = std::make_unique<TcpConnection>();
  TcpConnection& connection = *places_[place];
  connection.fd = std::move(fd);
  connection.address = address;
  connection.place = place;
  connection.serial = next_serial_++;
  link(connection);
  ++size_;
  return connection;
}

void TcpConnections::remove(TcpConnection& connection) {
  unlink(connection);
  --size_;
  const std::uint32_t place = connection.place;
  places_[place].reset();
  free_places_.push_back(place);
}

TcpConnection* TcpConnections::find(std::uint32_t place, std::uint32_t serial) {
  if (place >= places_.size()) return nullptr;
  TcpConnection* connection = places_[place].get();
  return connection != nullptr && connection->serial == serial ? connection : nullptr;
}

void TcpConnections::touch(TcpConnection& connection, Instant now) {
  connection.last_activity = now;
  connection.progress = 0;
  if (newest_ == &connection) return;
  unlink(connection);
  link(connection);
}

void TcpConnections::link(TcpConnection& connection) {
  connection.older = newest_;
  connection.newer = nullptr;
  (newest_ != nullptr ? newest_->newer : oldest_) = &connection;
  newest_ = &connection;
}

void TcpConnections::unlink(TcpConnection& connection) {
  (connection.older != nullptr ? connection.older->newer : oldest_) = connection.newer;
  (connection.newer != nullptr ? connection.newer->older : newest_) = connection.older;
}

}  // namespace har::front
