#include "front/udp_outbox.h"

#include <algorithm>
#include <cstring>

namespace har::front {

UdpOutbox::UdpOutbox(UdpSender& sender) : sender_(sender), room_(new std::uint8_t[kRoom]) {
  for (std::size_t i = 0; i < kReplies; ++i) {
    headers_[i].msg_hdr.msg_name = &to_[i];
    headers_[i].msg_hdr.msg_iov = &parts_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
  }
}

void UdpOutbox::add(int fd, bool loopback, const net::SocketAddress& to, std::span<const std::uint8_t> reply,
                    std::span<const std::byte> info) {
  const bool fits = reply.size() <= kRoom - used_;
  if (fd != fd_ || count_ == kReplies || !fits) flush();
  fd_ = fd;
  loopback_ = loopback;
  const bool is_copied = reply.size() <= kRoom;
  parts_[count_] = {.iov_base = const_cast<std::uint8_t*>(reply.data()), .iov_len = reply.size()};
  if (is_copied) {
    parts_[count_].iov_base = room_.get() + used_;
    std::memcpy(room_.get() + used_, reply.data(), reply.size());
    used_ += reply.size();
  }
  to_[count_] = to;
  std::copy(info.begin(), info.end(), info_[count_].bytes.begin());
  msghdr& header = headers_[count_].msg_hdr;
  header.msg_namelen = to.size();
  header.msg_control = info.empty() ? nullptr : &info_[count_];
  header.msg_controllen = info.size();
  ++count_;
  if (!is_copied) flush();
}

void UdpOutbox::flush() {
  if (count_ > 0) sender_.send(fd_, loopback_, std::span(headers_).first(count_));
  count_ = used_ = 0;
}

}  // namespace har::front
