// No allocation on the ordinary path: counted where operator new is called, on the forwarder's own thread.
#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <new>
#include <thread>

#include "forward/forwarding_test.h"

namespace {
thread_local std::uint64_t allocations = 0;
}

// Not inline: g++ 12 would see free() beside new and warn.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  void* const memory = std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace har::forward {
namespace {

// Answers on a thread of its own until it is destroyed: every third query with SERVFAIL, so that failing over counts
// too.
class AnsweringThread {
 public:
  AnsweringThread() {
    auto fd = net::bind_udp(IpPort{*IpAddress::parse("127.0.0.1"), 0, 0}, {});
    EXPECT_TRUE(fd);
    fd_ = std::move(*fd);
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }
  IpPort address() const { return FakeUpstream::name_of(fd_.get()); }

 private:
  void serve(const std::stop_token& stop) {
    std::array<std::uint8_t, 4096> buffer;
    int count = 0;
    while (!stop.stop_requested()) {
      pollfd wait{fd_.get(), POLLIN, 0};
      poll(&wait, 1, 10);
      net::SocketAddress from;
      socklen_t size = sizeof from;
      const ssize_t got = recvfrom(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, &from.generic, &size);
      if (got < 12) continue;
      buffer[2] |= 0x80;
      buffer[3] = ++count % 3 == 0 ? 2 : 0;
      sendto(fd_.get(), buffer.data(), static_cast<std::size_t>(got), 0, &from.generic, from.size());
    }
  }
  net::Fd fd_;
  std::jthread thread_;
};

TEST(Allocation, ForwardingAllocatesNothing) {
  AnsweringThread first;
  AnsweringThread second;
  net::Loop loop;
  std::uint32_t done = 0;
  std::uint32_t replies = 0;
  Forwarder forwarder(loop, Options{},
                      [&](Ending ending, const net::Asker&, std::uint32_t, std::span<const std::uint8_t>,
                          std::span<const std::uint8_t>) {
                        ++done;
                        replies += ending == Ending::kReply ? 1 : 0;
                      });
  forwarder.set_upstreams({first.address(), second.address()});
  const Bytes query = make_query("www.example.com", 4711);
  const net::Asker asker;
  const auto round = [&](std::uint32_t count) {
    const std::uint32_t before = done;
    std::uint32_t asked = 0;
    while (done - before < count) {
      for (; asked < count && forwarder.in_flight() < 20; ++asked) forwarder.ask(query, asker, 0, false);
      loop.run_once();
    }
  };
  round(5'000);  // the sockets come into being, and the room for bad replies
  const std::uint64_t before = allocations;
  round(100'000);  // each of 128 sockets is renewed about once
  // A record that has not held a bad reply yet may still make its first: a handful, not one in a thousand queries.
  EXPECT_LE(allocations - before, 30U);
  EXPECT_EQ(replies, 105'000U);
}

}  // namespace
}  // namespace har::forward
