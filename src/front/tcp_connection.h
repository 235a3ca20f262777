// One client's TCP connection as data: what came and is not handled yet, what must go out and is not taken yet, and the
// table of all connections in the order of their last activity. The policy is tcp_front.cc.
// An idle connection holds no buffer.  Thread: one worker.  Tested by: tcp_front_test.cc
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "net/fd.h"
#include "net/loop.h"
#include "net/sockaddr.h"

namespace har::front {

inline constexpr std::size_t kLengthOctets = 2;  // RFC 1035 4.2.2

// The size of the first message in `bytes` with its two octets of length; empty: it is not whole yet.
inline std::optional<std::size_t> whole_message(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kLengthOctets) return std::nullopt;
  const std::size_t size = static_cast<std::size_t>(bytes[0]) << 8 | bytes[1];
  if (bytes.size() - kLengthOctets < size) return std::nullopt;
  return kLengthOctets + size;
}

struct TcpConnection {
  // fixed once accepted
  net::Fd fd;
  net::SocketAddress address;
  bool from_here = false;  // as in Asker
  std::uint32_t place = 0;
  std::uint32_t serial = 0;
  // state
  Instant last_activity{};
  std::uint32_t in_flight = 0;  // queries without a (last) reply
  bool paused = false;          // too much in flight or unread by the client: nothing is read
  bool read_closed = false;     // the client has said all it had to say
  bool finishing = false;       // nothing more is handled; ends when nothing is in flight or queued
  bool lingering = false;       // all is said and our end is shut: what still comes is thrown away
  std::vector<std::uint8_t> input;
  std::vector<std::uint8_t> output;
  std::size_t output_taken = 0;                       // of `output`, by the kernel
  std::size_t progress = 0;                           // octets taken since the last activity
  std::size_t accounted = 0;                          // of the front's memory for buffers
  net::Watch::Interest interest = net::Watch::kNone;  // what its socket is watched for
  // the list of all connections, by last activity
  TcpConnection* older = nullptr;
  TcpConnection* newer = nullptr;

  std::size_t backlog() const { return output.size() - output_taken; }
  bool is_waiting() const { return in_flight > 0 && backlog() == 0; }  // for us, that is: not idle
  bool has_whole_message() const { return whole_message(input).has_value(); }

  // Puts what was not handled into `input`, or drops the first `used` octets of it; an empty one gives its memory back.
  void keep_input(std::span<const std::uint8_t> rest);
  void drop_input(std::size_t used);
  // Writes `parts` behind what is queued already; what the kernel does not take is queued. False: the connection is
  // broken.
  bool write(std::span<iovec> parts);
  // Writes what is queued. False: the connection is broken.
  bool flush();
};

class TcpConnections {
 public:
  TcpConnection& add(net::Fd fd, const net::SocketAddress& address);  // as the newest
  void remove(TcpConnection& connection);                             // destroys it
  TcpConnection* find(std::uint32_t place, std::uint32_t serial);
  void touch(TcpConnection& connection, Instant now);  // makes it the newest
  TcpConnection* oldest() { return oldest_; }
  std::size_t size() const { return size_; }

 private:
  void link(TcpConnection& connection);
  void unlink(TcpConnection& connection);

  std::vector<std::unique_ptr<TcpConnection>> places_;
  std::vector<std::uint32_t> free_places_;
  TcpConnection* oldest_ = nullptr;
  TcpConnection* newest_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t next_serial_ = 1;
};

}  // namespace har::front
