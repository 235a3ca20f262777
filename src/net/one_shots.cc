#include "net/one_shots.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace har::net {

OneShots::OneShots(Loop& loop, Ready ready)
    : ready_(std::move(ready)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      watch_(loop, epoll_.get(), Watch::kRead, [this](Watch::Interest) { serve(); }) {
  HAR_ASSERT(epoll_);
}

int OneShots::wait_for_write(int socket, Token token) {
  epoll_event event{};
  event.events = EPOLLOUT | EPOLLONESHOT;
  event.data.u64 = token;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &event) == 0 ? 0 : errno;
}

int OneShots::wait_again(int socket, Token token, Watch::Interest interest) {
  epoll_event event{};
  event.events = (interest == Watch::kRead ? EPOLLIN : EPOLLOUT) | EPOLLONESHOT;
  event.data.u64 = token;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket, &event) == 0 ? 0 : errno;
}

void OneShots::serve() {
  // What does not fit makes the descriptor readable again: the next turn of the loop has it.
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) ready_(events[static_cast<std::size_t>(i)].data.u64);
}

}  // namespace har::net
