// The COOKIE option (RFC 7873) of what we say ourselves. We have no cookies and judge none; but a client that has seen
// one from an upstream believes that "this server" has them, and throws away what comes over UDP without one (5.3):
// with a server's part, c-ares demands. So it gets its own back: as it came, or behind 8 octets alone a server's part
// of ours, which an upstream takes for a stranger's and answers with its own.
//
// Thread: any.  Tested by: reply_test.cc, opt_test.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dns/types.h"
#include "dns/writer.h"

namespace har::dns {

inline constexpr std::size_t kClientsPart = 8, kLeastWhole = 16, kMostWhole = 40;  // octets, RFC 7873 4.1, 4.2
inline constexpr std::array<std::uint8_t, 8> kServersPart{'h', 'a', 'r', 0, 0, 0, 0, 0};

inline bool is_cookie(std::span<const std::uint8_t> option) {
  return option.size() == kClientsPart || (option.size() >= kLeastWhole && option.size() <= kMostWhole);
}
// Requires: is_cookie(), or empty.
inline bool has_servers_part(std::span<const std::uint8_t> cookie) { return cookie.size() > kClientsPart; }

// Octets of the option that gives `cookie` back, its head among them; of none: 0.
inline std::size_t cookie_back_size(std::span<const std::uint8_t> cookie) {
  if (cookie.empty()) return 0;
  return kOptionHead + cookie.size() + (has_servers_part(cookie) ? 0 : kServersPart.size());
}

inline void write_cookie_back(Writer& writer, std::span<const std::uint8_t> cookie) {
  if (cookie.empty()) return;
  writer.u16(kOptionCookie);
  writer.u16(static_cast<std::uint16_t>(cookie_back_size(cookie) - kOptionHead));
  writer.bytes(cookie);
  if (!has_servers_part(cookie)) writer.bytes(kServersPart);
}

}  // namespace har::dns
