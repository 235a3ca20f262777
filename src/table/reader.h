// Reads the answer table: lock-free, allocation-free, over memory that another process writes (or wrote, before it
// died). The memory is trusted to be ours but not to be whole: every offset is checked when the table is opened.
// Thread: any number of readers.  Tested by: table_test.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "base/time.h"
#include "table/content.h"
#include "table/layout.h"

namespace har::table {

inline constexpr std::uint32_t kNoSlot = 0xFFFFFFFF;

class Reader {
 public:
  // Maps nothing: `memory` is the mapping (read-only is enough), borrowed for the Reader's life, 64-byte aligned.
  // Fails when the header, its version or any offset is not right for memory.size().
  static Result<Reader> open(std::span<const std::byte> memory);

  // `name`: an uncompressed wire name (RFC 1035 3.1) of at most 255 octets, any case. kNoSlot when not configured.
  std::uint32_t find(std::span<const std::uint8_t> name) const;
  // Begins to bring into the cache what find() and read() of these names will look at: for all at once, where find()
  // waits for memory three times a name. For a batch of queries and a table that is larger than the caches. Writes the
  // slot that each name probably has, or kNoSlot, to the same places of `probable`. At most kMostAhead names.
  static constexpr std::size_t kMostAhead = 32;
  void prefetch(std::span<const std::span<const std::uint8_t>> names, std::span<std::uint32_t> probable) const;

  std::uint32_t slot_count() const;
  // Copies one family's answer, the TTL and the note, consistent with each other. Retries a bounded number of times
  // while a writer is in the way; false if it never got one (the caller answers SERVFAIL).
  struct View {
    FamilyAnswer answer;  // only the first `count` addresses are set, and their weights only for kWeighted
    std::uint32_t ttl;
    Note note;
  };
  bool read(std::uint32_t slot, Family family, View& out) const;
  bool https_forward(std::uint32_t slot) const;                  // https_records = forward
  std::span<const std::uint8_t> name(std::uint32_t slot) const;  // lower-case wire form

  bool allows(const IpAddress& client) const;  // allow_clients; ::ffff:192.0.2.1 is taken as 192.0.2.1 too
  bool allows_own() const;                     // and every address of this host
  const Limits& limits() const;
  std::uint64_t generation() const;  // which configuration this table was made from; grows with each

  // The upstreams in their order. `upstreams_version` changes whenever the list did (one relaxed load to look).
  std::uint32_t upstreams_version() const;
  std::vector<IpPort> upstreams() const;  // allocates: on a change only

  // When the writer last said that it lives; kNever never. See Writer::beat.
  Instant last_beat() const;
  bool network_lost() const;  // one relaxed load. See Writer::set_network_lost.

 private:
  Reader(const std::byte* base, const Header& header) : base_(base), header_(header) {}
  // A name's way through the index.
  struct Search {
    std::uint64_t hash;
    std::uint64_t probe = 0;
  };
  Search begin(std::span<const std::uint8_t> name) const;
  const std::byte* index_place(const Search& search) const;
  std::uint32_t next(Search& search) const;  // the next slot whose name has the hash's upper half; kNoSlot: no more
  const std::byte* slot_at(std::uint32_t slot) const { return base_ + header_.slots_offset + slot * kSlotSize; }

  const std::byte* base_;  // borrowed
  Header header_;          // a checked copy: what happens to the one in memory no longer matters
};

}  // namespace har::table
