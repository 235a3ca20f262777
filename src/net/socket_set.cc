#include "net/socket_set.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace har::net {
namespace {

int control(int epoll, int operation, int socket, SocketSet::Token token, Watch::Interest interest) {
  epoll_event event{};
  event.events = ((interest & Watch::kRead) != 0 ? std::uint32_t{EPOLLIN} : 0) |
                 ((interest & Watch::kWrite) != 0 ? std::uint32_t{EPOLLOUT} : 0);
  event.data.u64 = token;
  return epoll_ctl(epoll, operation, socket, &event) == 0 ? 0 : errno;
}

}  // namespace

SocketSet::SocketSet(Loop& loop, Ready ready, MayGoOn may_go_on)
    : ready_(std::move(ready)),
      may_go_on_(std::move(may_go_on)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      watch_(loop, epoll_.get(), Watch::kRead, [this](Watch::Interest) { serve(); }) {
  HAR_ASSERT(epoll_);
}

int SocketSet::add(int socket, Token token, Watch::Interest interest) {
  if (interest == Watch::kNone) return 0;
  return control(epoll_.get(), EPOLL_CTL_ADD, socket, token, interest);
}

int SocketSet::change(int socket, Token token, Watch::Interest before, Watch::Interest now) {
  if (before == now) return 0;
  if (before == Watch::kNone) return add(socket, token, now);
  // epoll tells of hang-ups whatever it was asked: a socket of which nothing is wanted must leave.
  return control(epoll_.get(), now == Watch::kNone ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, socket, token, now);
}

void SocketSet::serve() {
  // All that were fetched are served: who is passed over would be passed over again. The rest makes the descriptor
  // readable again: the next turn of the loop has it.
  std::array<epoll_event, kAtOnce> events;
  for (int served = 0; served < kMostATurn; served += kAtOnce) {
    const int count = epoll_wait(epoll_.get(), events.data(), kAtOnce, 0);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const bool is_broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
      const bool reads = is_broken || (event.events & EPOLLIN) != 0,
                 writes = is_broken || (event.events & EPOLLOUT) != 0;
      ready_(event.data.u64, static_cast<Watch::Interest>((reads ? Watch::kRead : Watch::kNone) |
                                                          (writes ? Watch::kWrite : Watch::kNone)));
    }
    if (count < kAtOnce || !may_go_on_()) return;
  }
}

}  // namespace har::net
