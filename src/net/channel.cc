#include "net/channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace har::net {
namespace {

bool wait_for(int fd, short what, int wait_ms) {
  pollfd waiting{fd, what, 0};
  for (int tries = 0; tries < 100; ++tries) {
    const int ready = poll(&waiting, 1, wait_ms);
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return false;
  }
  return false;
}

ssize_t receive_now(int fd, msghdr& header, int flags) {
  // ECONNRESET comes once, ahead of what the peer has said, when it ended with messages of ours unread.
  for (bool was_reset = false;;) {
    const ssize_t size = recvmsg(fd, &header, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size >= 0) return size;
    if (errno != EINTR && (errno != ECONNRESET || std::exchange(was_reset, true))) return size;
  }
}

// Of the message that comes next, without taking it: room for the longest one would be 64 KiB for a beat of four
// octets. As recvmsg(2).
ssize_t size_of_next(int fd) {
  msghdr nothing{};
  return receive_now(fd, nothing, MSG_PEEK | MSG_TRUNC);
}

}  // namespace

Result<std::pair<Channel, Fd>> Channel::make_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return failure(std::string("socketpair: ") + strerrordesc_np(errno));
  }
  return std::pair(Channel(Fd(ends[0])), Fd(ends[1]));
}

bool Channel::send(std::uint32_t type, std::string_view body, const std::vector<int>& fds, int patience_ms) {
  HAR_ASSERT(body.size() <= Message::kMaxBody && fds.size() <= Message::kMaxFds);
  if (!fd_) return false;
  std::array<iovec, 2> parts{iovec{&type, sizeof type}, iovec{const_cast<char*>(body.data()), body.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * Message::kMaxFds)];
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
  }
  for (int tries = 0; tries < 10; ++tries) {
    if (sendmsg(fd_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != ENOBUFS) return false;
    if (!wait_for(fd_.get(), POLLOUT, patience_ms)) return false;
  }
  return false;
}

Channel::Status Channel::receive(Message& out, int wait_ms) {
  if (!fd_) return Status::kClosed;
  if (wait_ms != 0 && !wait_for(fd_.get(), POLLIN, wait_ms)) return Status::kNothing;
  out = Message{};
  ssize_t size = size_of_next(fd_.get());
  std::string body;
  if (size > static_cast<ssize_t>(sizeof out.type)) {
    body.resize(std::min(static_cast<std::size_t>(size) - sizeof out.type, Message::kMaxBody));
  }
  std::array<iovec, 2> parts{iovec{&out.type, sizeof out.type}, iovec{body.data(), body.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * Message::kMaxFds)];
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  if (size >= 0) size = receive_now(fd_.get(), header, 0);
  if (size < 0) return errno == EAGAIN ? Status::kNothing : Status::kClosed;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      out.fds.emplace_back(fd);
    }
  }
  // An empty message cannot be told from the end of the peer, and we never send one: a type is always there.
  if (size < static_cast<ssize_t>(sizeof out.type)) return Status::kClosed;
  body.resize(static_cast<std::size_t>(size) - sizeof out.type);
  out.body = std::move(body);
  return Status::kMessage;
}

}  // namespace har::net
