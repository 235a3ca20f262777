// For sockets bound to a wildcard address: to which of our addresses a packet came, so that the reply leaves from it.
// An asker has no room for an IPv6 address, so those seen are numbered here.
// Thread: one worker.  Tested by: udp_front_test.cc
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "front/packet_info.h"
#include "net/sockaddr.h"

namespace har::front {

// Whether a packet came from the very address that its control message says it went to: its sender is on this host.
// From elsewhere such a packet does not get in over IPv4 (a martian source); over IPv6 it may, and its reply stays
// here.
bool is_from_here(std::span<const std::byte> received, const net::SocketAddress& from);

class LocalAddresses {
 public:
  static constexpr std::uint32_t kUnknown = 0;  // the kernel chooses

  // The number of the address that a received control message names.
  std::uint32_t number_of(std::span<const std::byte> received);
  // Writes the control message that makes a packet leave from that address; returns the part of `info` used, which is
  // empty for kUnknown.
  std::span<std::byte> write(std::uint32_t number, PacketInfo& info) const;

 private:
  struct Local {
    int level = 0;
    in_pktinfo v4{};
    in6_pktinfo v6{};
    bool operator==(const Local& other) const;
  };
  std::vector<Local> seen_;
  std::size_t last_ = 0;       // where the last one was found: mostly the next one is the same
  std::size_t overwrite_ = 0;  // the place that the next new one takes when there is no room
};

}  // namespace har::front
