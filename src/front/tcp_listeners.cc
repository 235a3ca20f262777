#include "front/tcp_listeners.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "net/socket.h"

namespace har::front {
namespace {

constexpr int kAcceptsATurn = 32;
constexpr Duration kRest = std::chrono::milliseconds(100);

}  // namespace

TcpListeners::TcpListeners(net::Loop& loop, Take take, MakeRoom make_room)
    : loop_(loop), take_(std::move(take)), make_room_(std::move(make_room)), wake_up_(loop, [this] { rest(false); }) {}

void TcpListeners::serve(std::vector<net::Fd> listeners) {
  for (auto& listener : listeners_) listener->in_service = false;
  for (net::Fd& fd : listeners) {
    const std::uint64_t cookie = net::socket_cookie(fd.get());
    bool known = false;
    for (auto& listener : listeners_) {
      if (listener->cookie != cookie) continue;
      listener->in_service = true;
      known = true;
    }
    if (known) continue;
    auto listener = std::make_unique<Listener>();
    listener->cookie = cookie;
    listener->fd = std::move(fd);
    const auto local = net::local_ip(listener->fd.get());
    listener->wildcard = local && local->is_unspecified();
    listener->watch.emplace(loop_, listener->fd.get(), net::Watch::kRead,
                            [this, raw = listener.get()](net::Watch::Interest) { accept_some(*raw, kAcceptsATurn); });
    listeners_.push_back(std::move(listener));
  }
  // Connections that wait in a listener would be reset with it.
  for (auto& listener : listeners_) {
    if (!listener->in_service) accept_some(*listener, SOMAXCONN);
  }
  std::erase_if(listeners_, [](const auto& listener) { return !listener->in_service; });
}

void TcpListeners::accept_some(const Listener& listener, int most) {
  for (int i = 0; i < most; ++i) {
    net::SocketAddress address;
    socklen_t size = sizeof address;
    net::Fd fd(accept4(listener.fd.get(), &address.generic, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      take_(std::move(fd), address, listener.wildcard);
    } else if (errno == EAGAIN) {
      return;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The kernel wants a free descriptor before it looks whether anybody waits.
      pollfd waits{.fd = listener.fd.get(), .events = POLLIN, .revents = 0};
      if (poll(&waits, 1, 0) <= 0) return;
      if (make_room_()) continue;
      rest(true);
      return;
    }  // otherwise it was that one connection's trouble (accept(2)): on to the next
  }
}

void TcpListeners::rest(bool rests) {
  for (auto& listener : listeners_) listener->watch->set_interest(rests ? net::Watch::kNone : net::Watch::kRead);
  if (rests) wake_up_.set(kRest);
}

}  // namespace har::front
