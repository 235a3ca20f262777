// Many sockets, each waited for once: until it can be written, or read, or is broken; and then perhaps once more. For
// short lives: one system call to begin, and none to end, because a socket that is closed is forgotten by the kernel.
// Tokens instead of callbacks: what waited may be gone when its event comes. Not for: sockets that go on being watched
// (Watch); descriptors with a duplicate elsewhere, whose closing does not end the waiting. Thread: that of the loop.
// Tested by: one_shots_test.cc
#pragma once

#include <cstdint>
#include <functional>

#include "net/fd.h"
#include "net/loop.h"

namespace har::net {

class OneShots {
 public:
  using Token = std::uint64_t;
  // Anything may be done in it, but destroying the OneShots. May be told of a token whose socket was closed in the same
  // turn of the loop: the owner knows what still lives.
  using Ready = std::function<void(Token)>;

  OneShots(Loop& loop, Ready ready);

  // 0, or the errno. Never calls back from inside. After its event the socket may be given to any other watcher.
  int wait_for_write(int socket, Token token);
  int wait_again(int socket, Token token, Watch::Interest interest);  // after an event; requires: kRead or kWrite

 private:
  void serve();

  const Ready ready_;
  Fd epoll_;
  Watch watch_;  // behind epoll_: destroyed before it
};

}  // namespace har::net
