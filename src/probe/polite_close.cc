#include "probe/polite_close.h"

#include <sys/socket.h>

#include <array>
#include <utility>

#include "net/clock.h"

namespace har::probe {

namespace {

void drain(int socket) {
  // Bounded: a peer that sends without end gets its RST.
  std::array<char, 16 * 1024> thrown_away;
  for (int round = 0; round < 4; ++round) {
    if (recv(socket, thrown_away.data(), thrown_away.size(), MSG_DONTWAIT) <= 0) return;
  }
}

}  // namespace

PoliteCloser::PoliteCloser(net::Loop& loop) : timer_(loop, [this] { sweep(); }) {}

void PoliteCloser::close(net::Fd socket) {
  if (!socket || shutdown(socket.get(), SHUT_WR) != 0) return;
  if (waiting_.size() == kMostWaiting) {
    drain(waiting_.front().socket.get());
    waiting_.pop_front();
  }
  waiting_.push_back({std::move(socket), net::now() + kPatience});
  if (!timer_.is_set()) timer_.set(kPatience + kGather);
}

void PoliteCloser::sweep() {
  const Instant now = net::now();
  while (!waiting_.empty() && waiting_.front().until <= now) {
    drain(waiting_.front().socket.get());
    waiting_.pop_front();
  }
  if (!waiting_.empty()) timer_.set(waiting_.front().until - now + kGather);
}

}  // namespace har::probe
