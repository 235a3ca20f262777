#include "front/udp_batch.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace har::front {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLargest = 65'535;
// 64 KiB and a page: the slots begin at different places in their pages, because equal ones would share cache sets.
constexpr std::size_t kStride = 65'536 + kPage;
constexpr std::size_t kStagger = 64;
static_assert(kStagger * UdpBatch::kPackets + kLargest <= kStride);

}  // namespace

UdpBatch::UdpBatch() : replies_(new std::uint8_t[kPackets * kReplyStride]) {
  void* space =
      mmap(nullptr, kPackets * kStride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  HAR_ASSERT(space != MAP_FAILED);
  space_ = static_cast<std::uint8_t*>(space);
  for (std::size_t i = 0; i < kPackets; ++i) {
    in_parts_[i] = {.iov_base = slot(i), .iov_len = kLargest};
    in_[i].msg_hdr.msg_iov = &in_parts_[i];
    in_[i].msg_hdr.msg_iovlen = 1;
    in_[i].msg_hdr.msg_name = &from_[i];
    out_[i].msg_hdr.msg_iov = &out_parts_[i];
    out_[i].msg_hdr.msg_iovlen = 1;
  }
}

UdpBatch::~UdpBatch() { munmap(space_, kPackets * kStride); }

std::uint8_t* UdpBatch::slot(std::size_t i) const { return space_ + i * kStride + i * kStagger; }

int UdpBatch::receive(int fd, bool with_info) {
  out_count_ = 0;
  for (std::size_t i = 0; i < kPackets; ++i) {  // the kernel overwrites these
    in_[i].msg_hdr.msg_namelen = sizeof from_[i];
    in_[i].msg_hdr.msg_control = with_info ? &info_[i] : nullptr;
    in_[i].msg_hdr.msg_controllen = with_info ? sizeof info_[i] : 0;
  }
  const int count = recvmmsg(fd, in_.data(), kPackets, MSG_DONTWAIT, nullptr);
  if (count >= 0) return count;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

std::span<const std::byte> UdpBatch::info(std::size_t i) const {
  const msghdr& header = in_[i].msg_hdr;
  const std::size_t size = header.msg_control == nullptr ? 0 : header.msg_controllen;
  return std::span(info_[i].bytes).first(std::min(size, sizeof(PacketInfo)));
}

void UdpBatch::add_reply(std::size_t i, std::size_t size, std::span<std::byte> info) {
  HAR_ASSERT(size <= kReplyRoom && out_count_ < kPackets);
  out_parts_[out_count_] = {.iov_base = reply_room().data(), .iov_len = size};
  msghdr& header = out_[out_count_].msg_hdr;
  header.msg_name = &from_[i];
  header.msg_namelen = from_[i].size();
  header.msg_control = info.empty() ? nullptr : info.data();
  header.msg_controllen = info.size();
  ++out_count_;
}

std::span<mmsghdr> UdpBatch::take_replies() { return std::span(out_).first(std::exchange(out_count_, 0)); }

void UdpBatch::release_large(std::size_t i) {
  if (in_[i].msg_len <= kPage) return;
  const std::size_t from = (i * kStagger + kPage + kPage - 1) / kPage * kPage;
  madvise(space_ + i * kStride + from, kStride - from, MADV_DONTNEED);
}

}  // namespace har::front
