#include "front/udp_sender.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "net/fd.h"
#include "net/sockaddr.h"

namespace har::front {
namespace {

#ifndef UDP_SEGMENT
constexpr int UDP_SEGMENT = 103;  // linux/udp.h
#endif

constexpr std::size_t kJoinFrom = 8;        // fewer at a time are no load
constexpr std::size_t kLargestPart = 1232;  // what is ours to answer is never larger

using Set = std::uint32_t;  // of messages, by their places
static_assert(UdpSender::kMost <= 32);

std::size_t first_of(Set set) { return static_cast<std::size_t>(std::countr_zero(set)); }
Set without_first(Set set) { return set & (set - 1); }
Set only(std::size_t place) { return Set{1} << place; }

std::size_t size_of(const mmsghdr& message) { return message.msg_hdr.msg_iov->iov_len; }

// Mostly the ports differ.
bool go_to_one_client(const msghdr& a, const msghdr& b) {
  const auto& to_a = *static_cast<const net::SocketAddress*>(a.msg_name);
  const auto& to_b = *static_cast<const net::SocketAddress*>(b.msg_name);
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  return to_a.v4.sin_port == to_b.v4.sin_port && a.msg_namelen == b.msg_namelen &&
         std::memcmp(&to_a, &to_b, a.msg_namelen) == 0;
}

// What can leave as one message: the kernel cuts it into parts of one size, of which the last may be shorter.
struct Group {
  Set whole = 0;
  Set last = 0;  // one, or none
  std::size_t size = 0;
};

// What goes to the client of the first of `left`, as far as one message can hold it.
Group take_group(std::span<const mmsghdr> messages, std::size_t first, Set left) {
  Group group{only(first), 0, size_of(messages[first])};
  if (group.size > kLargestPart) return group;
  for (Set rest = without_first(left); rest != 0; rest = without_first(rest)) {
    const mmsghdr& other = messages[first_of(rest)];
    if (!go_to_one_client(messages[first].msg_hdr, other.msg_hdr) || size_of(other) > kLargestPart) continue;
    group.whole |= only(first_of(rest));
    group.size = std::max(group.size, size_of(other));
  }
  Set shorter = 0;
  for (Set rest = group.whole; rest != 0; rest = without_first(rest)) {
    if (size_of(messages[first_of(rest)]) < group.size) shorter |= only(first_of(rest));
  }
  group.whole &= ~shorter;
  if (shorter != 0) group.last = only(first_of(shorter));
  return group;
}

void say_where_to_cut(msghdr& message, std::uint16_t size, std::span<std::byte> control) {
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  auto* header = reinterpret_cast<cmsghdr*>(control.data());
  header->cmsg_level = IPPROTO_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof size);
  std::memcpy(CMSG_DATA(header), &size, sizeof size);
}

}  // namespace

UdpSender::UdpSender() {
  const net::Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  int size = 0;
  socklen_t length = sizeof size;
  // A kernel that does not know it would send what is joined as one datagram.
  joins_ = fd && getsockopt(fd.get(), IPPROTO_UDP, UDP_SEGMENT, &size, &length) == 0;
}

void UdpSender::send(int fd, bool loopback, std::span<mmsghdr> messages) {
  HAR_ASSERT(messages.size() <= kMost);
  if (loopback && joins_ && messages.size() >= kJoinFrom) messages = join(messages);
  while (!messages.empty()) {  // each round sends or gives up at least one
    const int sent = sendmmsg(fd, messages.data(), static_cast<unsigned>(messages.size()), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    // Full buffer, unreachable client, firewall, port 0: that client's reply is lost, the others' are not.
    if (sent <= 0 && messages.front().msg_hdr.msg_iovlen > 1) {
      joins_ = errno != EIO;  // IPsec, of all things: the next time it would be the same
      send_parts(fd, messages.front().msg_hdr);
    }
    messages = messages.subspan(static_cast<std::size_t>(std::max(sent, 1)));
  }
}

std::span<mmsghdr> UdpSender::join(std::span<mmsghdr> messages) {
  std::size_t count = 0;
  std::size_t part = 0;
  for (Set left = ~Set{0} >> (32 - messages.size()); left != 0; ++count) {
    const std::size_t first = first_of(left);
    joined_[count] = messages[first];
    const Group group = take_group(messages, first, left);
    left &= ~(group.whole | group.last);
    if (without_first(group.whole | group.last) == 0) continue;  // alone
    msghdr& joined = joined_[count].msg_hdr;
    joined.msg_iov = &parts_[part];
    for (const Set some : {group.whole, group.last}) {
      for (Set rest = some; rest != 0; rest = without_first(rest))
        parts_[part++] = *messages[first_of(rest)].msg_hdr.msg_iov;
    }
    joined.msg_iovlen = static_cast<std::size_t>(&parts_[part] - joined.msg_iov);
    say_where_to_cut(joined, static_cast<std::uint16_t>(group.size), control_[count].bytes);
  }
  return std::span(joined_).first(count);
}

void UdpSender::send_parts(int fd, const msghdr& joined) {
  msghdr one = joined;
  one.msg_iovlen = 1;
  one.msg_control = nullptr;
  one.msg_controllen = 0;
  for (std::size_t i = 0; i < joined.msg_iovlen; ++i) {
    one.msg_iov = &joined.msg_iov[i];
    while (sendmsg(fd, &one, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  }
}

}  // namespace har::front
