// Ends connections as a well-behaved client does: FIN first, what still comes is read and thrown away, then close.
// A plain close() with unread data sends RST, which servers log and count as trouble.
// Thread: the control thread.  Tested by: tcp_probe_test.cc
#pragma once

#include <deque>

#include "base/time.h"
#include "net/fd.h"
#include "net/loop.h"

namespace har::probe {

class PoliteCloser {
 public:
  explicit PoliteCloser(net::Loop& loop);
  void close(net::Fd socket);
  std::size_t waiting() const { return waiting_.size(); }

 private:
  // The peer's time to send what it has and its own FIN; at most so many descriptors wait for that. What is over within
  // kGather is closed together, not each in a turn of the loop.
  static constexpr Duration kPatience = std::chrono::milliseconds(200);
  static constexpr Duration kGather = std::chrono::milliseconds(100);
  static constexpr std::size_t kMostWaiting = 256;

  struct Waiting {
    net::Fd socket;
    Instant until;
  };
  void sweep();

  std::deque<Waiting> waiting_;  // by `until`
  net::Timer timer_;
};

}  // namespace har::probe
