// For tests: a forwarder with its upstreams on one loop, and what it gave back.
#pragma once

#include <gmock/gmock.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "forward/fake_upstream.h"
#include "forward/forwarder.h"

namespace har::forward {

struct Given {
  Ending ending;
  net::Asker asker;
  std::uint32_t tag;
  Bytes query;
  Bytes reply;
  Instant at;
};

struct ForwardingTest : testing::Test {
  net::Loop loop;
  Options options;
  std::unique_ptr<Forwarder> forwarder;
  std::deque<FakeUpstream> upstreams;
  std::vector<Given> given;

  FakeUpstream& add_upstream() { return upstreams.emplace_back(loop); }
  void start() {
    forwarder =
        std::make_unique<Forwarder>(loop, options,
                                    [this](Ending ending, const net::Asker& asker, std::uint32_t tag,
                                           std::span<const std::uint8_t> query, std::span<const std::uint8_t> reply) {
                                      given.push_back(Given{ending, asker, tag, Bytes(query.begin(), query.end()),
                                                            Bytes(reply.begin(), reply.end()), net::now()});
                                    });
    std::vector<IpPort> addresses;
    for (const FakeUpstream& upstream : upstreams) addresses.push_back(upstream.address());
    forwarder->set_upstreams(addresses);
  }
  static net::Asker asker(bool tcp) {
    net::Asker out;
    out.kind = tcp ? net::Asker::Kind::kTcp : net::Asker::Kind::kUdp;
    out.connection = 17;
    out.serial = 4711;
    return out;
  }
  void ask(const Bytes& query, bool tcp = false, std::uint32_t tag = 0, bool transfer = false) {
    forwarder->ask(query, asker(tcp), tag, transfer);
  }
  // Serves the loop until it is so; false: not within `limit`.
  template <class Predicate>
  bool until(Predicate so, Duration limit = std::chrono::seconds(10)) {
    bool over = false;
    net::Timer guard(loop, [&over] { over = true; });
    guard.set(limit);
    while (!so() && !over) loop.run_once();
    return so();
  }
  bool until_given(std::size_t count) {
    return until([&] { return given.size() >= count; });
  }
  void serve_for(Duration time) {
    until([] { return false; }, time);
  }
};

}  // namespace har::forward
