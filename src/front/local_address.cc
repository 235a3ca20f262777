#include "front/local_address.h"

#include <cstring>

namespace har::front {
namespace {

// All of 127.0.0.0/8 are addresses of ours; a client that tries them all must not fill our memory. With more than this
// many in use at a time, late replies to the oldest leave from the wrong one.
constexpr std::size_t kMost = 1024;

template <class T>
std::span<std::byte> write_control(PacketInfo& info, int level, int type, const T& value) {
  info = {};
  auto* header = reinterpret_cast<cmsghdr*>(info.bytes.data());
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(header), &value, sizeof value);
  return std::span(info.bytes).first(CMSG_SPACE(sizeof value));
}

// What a received control message tells; nothing where it is none of these two.
template <class Info>
bool read_control(std::span<const std::byte> received, int level, int type, Info& info) {
  if (received.size() < CMSG_LEN(sizeof info)) return false;
  const auto* header = reinterpret_cast<const cmsghdr*>(received.data());
  if (header->cmsg_level != level || header->cmsg_type != type || header->cmsg_len < CMSG_LEN(sizeof info))
    return false;
  std::memcpy(&info, CMSG_DATA(header), sizeof info);
  return true;
}

}  // namespace

bool is_from_here(std::span<const std::byte> received, const net::SocketAddress& from) {
  in_pktinfo v4{};
  if (read_control(received, IPPROTO_IP, IP_PKTINFO, v4)) {
    return from.family() == AF_INET && from.v4.sin_addr.s_addr == v4.ipi_addr.s_addr;
  }
  in6_pktinfo v6{};
  return read_control(received, IPPROTO_IPV6, IPV6_PKTINFO, v6) && from.family() == AF_INET6 &&
         std::memcmp(&from.v6.sin6_addr, &v6.ipi6_addr, sizeof v6.ipi6_addr) == 0;
}

bool LocalAddresses::Local::operator==(const Local& other) const {
  if (level != other.level) return false;
  if (level == IPPROTO_IP) return v4.ipi_spec_dst.s_addr == other.v4.ipi_spec_dst.s_addr;
  return v6.ipi6_ifindex == other.v6.ipi6_ifindex &&
         std::memcmp(&v6.ipi6_addr, &other.v6.ipi6_addr, sizeof v6.ipi6_addr) == 0;
}

std::uint32_t LocalAddresses::number_of(std::span<const std::byte> received) {
  Local local;
  if (read_control(received, IPPROTO_IP, IP_PKTINFO, local.v4)) {
    local.level = IPPROTO_IP;
    local.v4.ipi_ifindex = 0;  // the address only: the route back need not be the way in
    local.v4.ipi_addr = {};
  } else if (read_control(received, IPPROTO_IPV6, IPV6_PKTINFO, local.v6)) {
    local.level = IPPROTO_IPV6;
    // Only link-local addresses need their interface.
    if (!IN6_IS_ADDR_LINKLOCAL(&local.v6.ipi6_addr)) local.v6.ipi6_ifindex = 0;
  } else {
    return kUnknown;
  }
  if (last_ < seen_.size() && seen_[last_] == local) return static_cast<std::uint32_t>(last_ + 1);
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i] == local) {
      last_ = i;
      return static_cast<std::uint32_t>(i + 1);
    }
  }
  if (seen_.size() < kMost) {
    seen_.push_back(local);
    last_ = seen_.size() - 1;
  } else {
    last_ = overwrite_;
    seen_[last_] = local;
    overwrite_ = (overwrite_ + 1) % kMost;
  }
  return static_cast<std::uint32_t>(last_ + 1);
}

std::span<std::byte> LocalAddresses::write(std::uint32_t number, PacketInfo& info) const {
  if (number == kUnknown || number > seen_.size()) return {};
  const Local& local = seen_[number - 1];
  return local.level == IPPROTO_IP ? write_control(info, IPPROTO_IP, IP_PKTINFO, local.v4)
                                   : write_control(info, IPPROTO_IPV6, IPV6_PKTINFO, local.v6);
}

}  // namespace har::front
