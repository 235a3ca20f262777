#include "probe/tcp_probe.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "net/sockaddr.h"
#include "probe/verdict.h"

namespace har::probe {

namespace {

// The kernel says EADDRNOTAVAIL both where we have no address to send from and where all local ports are taken. The
// ports of UDP are others, and where they are taken it says EAGAIN.
bool has_local_address(const net::SocketAddress& to) {
  const net::Fd fd(socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return fd && (connect(fd.get(), &to.generic, to.size()) == 0 || errno == EAGAIN);
}

}  // namespace

std::optional<Verdict> connect_verdict(int error) {
  using health::Outcome;
  switch (error) {
    case ECONNREFUSED:
      return Verdict{Outcome::kConnectError, 0, "refused"};
    case ECONNRESET:
      return Verdict{Outcome::kConnectError, 0, "reset"};
    case ENETUNREACH:
      return Verdict{Outcome::kConnectError, 0, "network unreachable"};
    case EHOSTUNREACH:
      return Verdict{Outcome::kConnectError, 0, "host unreachable"};
    case ENETDOWN:
      return Verdict{Outcome::kConnectError, 0, "network down"};
    case EHOSTDOWN:
      return Verdict{Outcome::kConnectError, 0, "host down"};
    case EADDRNOTAVAIL:
      return Verdict{Outcome::kConnectError, 0, "no local address"};
    case EAFNOSUPPORT:
      return Verdict{Outcome::kConnectError, 0, "address family not supported"};
    case EINVAL:
      return Verdict{Outcome::kConnectError, 0, "invalid address"};
    case ETIMEDOUT:
      return Verdict{Outcome::kTimeout, 0, "timeout connecting"};
    case EACCES:
    case EPERM:
      return Verdict{Outcome::kOtherError, 0, "not permitted"};
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:  // epoll's limit of watched descriptors
    case kNoFreePort:
    case EAGAIN:
      return std::nullopt;
    default:
      return Verdict{Outcome::kOtherError, 0, "connect failed"};
  }
}

int TcpAttempt::start(const IpPort& endpoint) {
  const net::SocketAddress address(endpoint);
  socket_ = net::Fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return errno;
  if (connect(socket_.get(), &address.generic, address.size()) == 0 || errno == EINPROGRESS) return 0;
  const int error = errno;
  socket_.reset();
  return error == EADDRNOTAVAIL && has_local_address(address) ? kNoFreePort : error;
}

int TcpAttempt::end() {
  // The state of the connection stands beside its RTT: only where there is none the error is asked for.
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state != TCP_CLOSE &&
      info.tcpi_state != TCP_SYN_SENT) {
    rtt_ = std::chrono::microseconds(info.tcpi_rtt);
    return 0;
  }
  int error = 0;
  size = sizeof error;
  if (getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) socket_.reset();
  return error;
}

int TcpProbe::start(net::Loop& loop, const IpPort& endpoint) {
  const int error = attempt_.start(endpoint);
  if (error == 0) watch_.emplace(loop, attempt_.fd(), net::Watch::kWrite, [this](net::Watch::Interest) { look(); });
  return error;
}

void TcpProbe::look() {
  watch_.reset();
  const int error = attempt_.end();
  const Done done = std::move(done_);  // may destroy this
  done(error);
}

}  // namespace har::probe
