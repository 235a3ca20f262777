// For tests: two ends of a stream, neither of which blocks.  Thread: the test's.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "net/fd.h"

namespace har::net {

struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    ours = Fd(ends[0]);
    theirs = Fd(ends[1]);
  }
  // As much as goes in from our end, so that it cannot be written any more.
  void fill() const {
    const std::vector<char> bytes(4096);
    while (send(ours.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
    }
  }
  Fd ours, theirs;
};

}  // namespace har::net
