// The sockets that TCP clients connect to: takes connections, a bounded number a turn of the loop, and rests when there
// is no descriptor for one more. Knows nothing of what becomes of a connection.
// Thread: one worker.  Tested by: tcp_front_test.cc
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "net/fd.h"
#include "net/loop.h"
#include "net/sockaddr.h"

namespace har::front {

class TcpListeners {
 public:
  // `wildcard`: to a listener that is bound to all addresses of a family.
  using Take = std::function<void(net::Fd connection, const net::SocketAddress& client, bool wildcard)>;
  // No descriptor is free: closes something; false when there is nothing that may be closed.
  using MakeRoom = std::function<bool()>;

  TcpListeners(net::Loop& loop, Take take, MakeRoom make_room);

  // As TcpFront::serve(). Not from inside a callback.
  void serve(std::vector<net::Fd> listeners);

 private:
  struct Listener {
    net::Fd fd;
    std::uint64_t cookie = 0;
    bool wildcard = false;
    bool in_service = true;
    std::optional<net::Watch> watch;  // last: ends before its descriptor is closed
  };

  void accept_some(const Listener& listener, int most);
  void rest(bool rests);

  net::Loop& loop_;
  const Take take_;
  const MakeRoom make_room_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  net::Timer wake_up_;
};

}  // namespace har::front
