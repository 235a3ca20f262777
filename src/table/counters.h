// The second shared region: what the answerer counted. One writer a cell (a worker), any reader (the checker).
// Made by the keeper beside each table; zeroed memory is a valid region.
// Thread: cells belong to one worker each; reading from anywhere.  Tested by: counters_test.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/counter.h"

namespace har::table {

// Per worker, beside one cell a name.
enum class Cell : std::uint32_t {
  kUdpQueries,
  kTcpQueries,
  kAnswered,
  kForwarded,
  kDropped,
  kRefusedClient,
  kFormErr,
  kServfailNoUpstream,
  kServfailOverload,
  kUpstreamTimeouts,
  kUpstreamSpoofs,
  kUpstreamReplies,
  kTcpConnections,
  kTcpClosedForRoom,
  kLastBeat,  // not a counter: the worker's heartbeat, CLOCK_MONOTONIC nanoseconds
  kCount,
};

class Counters {
 public:
  static std::size_t bytes_needed(std::uint32_t workers, std::uint32_t names);
  // Borrowed memory of at least bytes_needed() bytes, 64-byte aligned.
  Counters(std::span<std::byte> memory, std::uint32_t workers, std::uint32_t names);

  Counter& cell(std::uint32_t worker, Cell which);
  Counter& name(std::uint32_t worker, std::uint32_t slot);  // queries for this name answered by us
  void prefetch(std::uint32_t worker, std::uint32_t slot) { __builtin_prefetch(&name(worker, slot), 1); }
  std::uint64_t total(Cell which) const;  // over all workers; senseless for kLastBeat
  std::uint64_t name_total(std::uint32_t slot) const;

 private:
  Counter* counters_;   // borrowed: for each worker its cells, then its names, each in whole cache lines
  std::size_t stride_;  // counters a worker
  std::uint32_t workers_;
  std::uint32_t names_;
};

}  // namespace har::table
