// Who asked: enough to send a reply back later, or to find that the asker is gone. A plain value, 40 octets.
#pragma once

#include <cstdint>

#include "net/sockaddr.h"

namespace har::net {

struct Asker {
  enum class Kind : std::uint8_t { kUdp, kTcp };
  Kind kind = Kind::kUdp;
  bool from_here = false;        // to a wildcard socket: it came from the very address that it went to
  std::uint16_t socket = 0;      // kUdp: which of the front's sockets
  std::uint32_t connection = 0;  // kTcp: the connection's place ...
  std::uint32_t serial = 0;      // ... and its serial number: a place is used again, a serial is not
  SocketAddress address;         // the client's
};

}  // namespace har::net
