// Room for one IP_PKTINFO or IPV6_PKTINFO message: the local address that a packet came to, or must leave from.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>

namespace har::front {

struct PacketInfo {
  alignas(cmsghdr) std::array<std::byte, 40> bytes;
};
static_assert(CMSG_SPACE(sizeof(in6_pktinfo)) <= sizeof(PacketInfo) &&
              CMSG_SPACE(sizeof(in_pktinfo)) <= sizeof(PacketInfo));

}  // namespace har::front
