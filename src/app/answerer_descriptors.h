// How many descriptors hard-answerer has open at once at the least, counted with /proc/PID/fd: the keeper refuses what
// would need more, and a worker keeps so many free of clients' connections.
// Thread: none; pure.  Tested by: answerer_descriptors_test.cc, and against the real one
// tests/e2e/test_broken_machines.py
#pragma once

#include <algorithm>
#include <cstdint>

namespace har::app {

// While it goes over from `served` addresses to `wanted` ones, when the sockets of both are open; `served` is 0 at its
// start. An address that stays counts twice: what arrives is known for a duplicate only by the workers.
constexpr std::uint64_t answerer_descriptors(std::uint64_t workers, std::uint64_t served, std::uint64_t wanted) {
  constexpr std::uint64_t kStanding = 4;  // the standard ones and the channel
  constexpr std::uint64_t kMemory = 2;    // the table and the counters: until the keeper's next message
  constexpr std::uint64_t kWorker = 6;  // epoll of the loop, of the upstreams, of the clients; libevent's pipe; a bell
  constexpr std::uint64_t kUpstream = 1;            // each worker asks one whether it leads back to us
  const std::uint64_t of_an_address = 2 * workers;  // UDP, and a duplicate of the TCP listener
  const std::uint64_t duplicated = wanted;          // the listeners, until each worker has its own
  const std::uint64_t used = workers * kUpstream;
  return kStanding + kMemory + workers * kWorker + (served + wanted) * of_an_address +
         (served == 0 ? std::max(duplicated, used) : duplicated + used);  // at a start nothing is in use yet
}

}  // namespace har::app
