// One thread of the answerer: its sockets, its view of the table, its forwarder. Workers share nothing but the table.
// Thread: constructed, used and destroyed by the main thread through post() only; everything else runs on its own.
// Tested by: tests/e2e/
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "app/precedence.h"
#include "app/serving.h"
#include "base/log.h"
#include "base/time.h"
#include "net/fd.h"

namespace har::app {

class Worker {
 public:
  struct Assignment {
    std::shared_ptr<const Serving> serving;
    std::vector<net::Fd> udp;
    std::vector<net::Fd> tcp;
  };
  struct Shared {  // between the workers of one process
    const Log* log = nullptr;
    std::uint32_t workers = 1;
    Precedence::Ask ask_to_go_first;                      // from any of them
    std::array<std::uint8_t, 16> loop_secret{};           // by it a worker knows another's loop query
    std::function<void(const IpPort&)> upstream_looping;  // tells all workers; called from any of them
    mutable std::atomic<bool> cookies_seen{false};        // answer.h; a client may be served by another worker next
  };

  Worker(std::uint32_t index, const Shared& shared);
  ~Worker();  // joins

  void assign(Assignment assignment, std::function<void()> serving_now);
  void upstream_is_looping(const IpPort& upstream);
  // Ends: what is in flight may still be answered for `grace`, then it gets SERVFAIL with EDE 14. `done` is called
  // from the worker's thread.
  void stop(Duration grace, std::function<void()> done);

  // A successor serves the same sockets: takes nothing new, answers what is in flight and what its connections still
  // ask. `none_left` is called from the worker's thread when the last of them has gone; then comes stop().
  void leave(std::function<void()> none_left);

  // The worker's last sign of life, CLOCK_MONOTONIC.
  Instant last_beat() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace har::app
