#include "probe/plain_http.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace har::probe {

net::Watch::Interest PlainHttp::go_on() {
  if (sent_ < request_.size()) {
    const ssize_t n = send(socket_.get(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      wire_.broke();
      return net::Watch::kNone;
    }
    if (n > 0) sent_ += static_cast<std::size_t>(n);
    return sent_ < request_.size() ? net::Watch::kWrite : net::Watch::kRead;
  }
  // One piece a turn: who sends without end gets no more than his share.
  std::array<char, 16 * 1024> piece;
  const ssize_t n = recv(socket_.get(), piece.data(), piece.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return net::Watch::kRead;
  if (n > 0) {
    wire_.feed({piece.data(), static_cast<std::size_t>(n)});
  } else if (n == 0) {
    wire_.closed();
  } else {
    wire_.broke();
  }
  return wire_.verdict() ? net::Watch::kNone : net::Watch::kRead;
}

}  // namespace har::probe
