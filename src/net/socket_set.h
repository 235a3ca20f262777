// Many sockets watched for as long as they live, of which the loop sees one descriptor: in each of its turns so many
// are served as the owner has patience for, and then whatever else is ready has its turn. Who is served goes to the end
// of the kernel's list: all have their turns. Level-triggered. Tokens instead of callbacks: no memory for each. Not
// for: a few descriptors (Watch); sockets that wait once (OneShots); descriptors with a duplicate elsewhere, whose
// closing does not end the watching.  Thread: that of the loop.  Tested by: socket_set_test.cc
#pragma once

#include <cstdint>
#include <functional>

#include "net/fd.h"
#include "net/loop.h"

namespace har::net {

class SocketSet {
 public:
  using Token = std::uint64_t;
  // An error or hang-up counts as both kRead and kWrite, whatever was asked for. Anything may be done in it, but
  // destroying the SocketSet. May be told of a token whose socket was closed in the same turn of the loop: the owner
  // knows what still lives.
  using Ready = std::function<void(Token, Watch::Interest)>;
  // After some (at most kAtOnce) have been served: whether more may be served in this turn.
  using MayGoOn = std::function<bool()>;
  static constexpr int kAtOnce = 4;
  static constexpr int kMostATurn = 64;

  SocketSet(Loop& loop, Ready ready, MayGoOn may_go_on);

  int add(int socket, Token token, Watch::Interest interest);  // 0, or the errno
  // kNone: nothing is told any more, not even that it is broken. Closing the socket ends all.
  int change(int socket, Token token, Watch::Interest before, Watch::Interest now);

 private:
  void serve();

  const Ready ready_;
  const MayGoOn may_go_on_;
  Fd epoll_;
  Watch watch_;  // behind epoll_: destroyed before it
};

}  // namespace har::net
