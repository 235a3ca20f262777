#include "net/socket.h"

#include <fmt/format.h>
#include <netinet/tcp.h>

#include <cstring>

#include "base/assert.h"

namespace har::net {
namespace {

constexpr int kListenBacklog = 4096;
// Queries wait here while an answerer is replaced; at some 800 octets of kernel memory each this holds some 5,000.
constexpr int kReceiveBuffer = 4 << 20;

bool set(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof value) == 0; }

tl::unexpected<BindError> bind_failure(const char* operation, const IpPort& address) {
  const int code = errno;
  return tl::unexpected<BindError>(BindError{code, describe(operation, address, code)});
}

tl::expected<Fd, BindError> bound(const IpPort& address, int type, BindOptions options) {
  const SocketAddress to(address);
  Fd fd(socket(to.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return bind_failure("socket", address);
  if (type == SOCK_STREAM) set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (options.reuse_port) set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (to.family() == AF_INET6) set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (options.free_bind) {
    if (to.family() == AF_INET) set(fd.get(), IPPROTO_IP, IP_FREEBIND, 1);
    if (to.family() == AF_INET6) set(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, 1);
  }
  if (bind(fd.get(), &to.generic, to.size()) != 0) return bind_failure("bind", address);
  return fd;
}

}  // namespace

std::uint64_t socket_cookie(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  HAR_ASSERT(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0);
  return cookie;
}

std::optional<IpAddress> local_ip(int fd) {
  SocketAddress local;
  socklen_t size = sizeof local;
  if (getsockname(fd, &local.generic, &size) != 0) return std::nullopt;
  if (local.family() != AF_INET && local.family() != AF_INET6) return std::nullopt;
  return local.to_ip_port().ip;
}

std::string describe(const std::string& operation, const IpPort& address, int code) {
  return fmt::format("{} {}: {}", operation, address.to_string(), strerrordesc_np(code));
}

tl::expected<Fd, BindError> bind_udp(const IpPort& address, BindOptions options) {
  auto fd = bound(address, SOCK_DGRAM, options);
  if (!fd) return fd;
  // FORCE passes the system's limit but needs a right that may be missing; then the limit is what there is.
  if (!set(fd->get(), SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer)) {
    set(fd->get(), SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
  }
  return fd;
}

tl::expected<Fd, BindError> listen_tcp(const IpPort& address, BindOptions options) {
  auto fd = bound(address, SOCK_STREAM, options);
  if (!fd) return fd;
  // Replies are whole messages in one write: waiting for more would only delay them. Accepted sockets inherit it.
  set(fd->get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (listen(fd->get(), kListenBacklog) != 0) return bind_failure("listen", address);
  return fd;
}

}  // namespace har::net
