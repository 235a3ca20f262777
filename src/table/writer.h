// Builds and rewrites the answer table. One writer at a time; killed at any instruction it leaves every slot readable.
// Thread: the checker's control thread.  Tested by: table_test.cc, table_stress_test.cc (TSan)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "base/time.h"
#include "table/content.h"

namespace har::table {

// What is fixed for the life of a table.
struct Plan {
  struct Entry {
    std::vector<std::uint8_t> name;  // lower-case wire form
    bool https_forward = false;
  };
  std::vector<Entry> names;  // slot i is names[i]; no duplicates
  std::vector<IpPrefix> allow_clients;
  bool own_clients = false;  // all addresses of the host are allowed as well, whatever they are at the time
  Limits limits;
  std::uint64_t generation = 0;
};

class Writer {
 public:
  static std::size_t bytes_needed(const Plan& plan);
  // Lays a new table out in zeroed memory of at least bytes_needed() bytes, 64-byte aligned. Every slot starts as
  // kForwardNotReady. Until this returns the memory holds no table for Reader::open() and adopt().
  static Writer create(std::span<std::byte> memory, const Plan& plan);
  // Takes over a table that an earlier writer made (it may have died in the middle of a write).
  static Result<Writer> adopt(std::span<std::byte> memory);

  void write(std::uint32_t slot, const SlotContent& content);  // requires: slot < the number of names
  // At most kMaxUpstreams are kept. A list equal to the one that stands is no change (upstreams_version stays).
  void set_upstreams(std::span<const IpPort> upstreams);
  // The same list, but told as a new one: the ways to the upstreams have changed.
  void renew_upstreams();
  void set_network_lost(bool lost);  // the answers are the last good ones, and say so
  void beat(Instant now);            // "I live": at least once a second

 private:
  explicit Writer(std::span<std::byte> memory, std::uint64_t slots_offset, std::uint32_t slot_count)
      : memory_(memory), slots_offset_(slots_offset), slot_count_(slot_count) {}

  std::span<std::byte> memory_;  // borrowed
  std::uint64_t slots_offset_;
  std::uint32_t slot_count_;
};

}  // namespace har::table
