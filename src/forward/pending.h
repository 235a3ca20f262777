// What is in flight: a record for each query, a handle for each of its tries, found by socket and message ID. Also who
// is the oldest, and whose time comes next. Plain data structures: no sockets, no clock, no rule of DNS.
// Memory comes in blocks of 32 records (50 KiB) when the peak of queries in flight rises, and is kept: nothing is
// allocated for a query otherwise (except for what does not fit into 512 octets, and that has a bound of its own).
//
//   record  free -> active (a client waits) -> lingering (its client is served, but replies to its tries are still
//           listened to: they measure the upstreams) -> free
//   channel a UDP socket or a TCP connection: IDs are unique among its outstanding tries
// Thread: one owner.  Tested by: pending_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "base/time.h"
#include "net/asker.h"
#include "upstream/exchange.h"

namespace har::forward {

inline constexpr std::uint32_t kNone = 0xFFFFFFFF;
inline constexpr std::size_t kInlineQuery = 512;
// Octets of queries that do not fit there and of bad replies, of all records together: 16,384 of 64 KiB each, which a
// client on this host sends in a second, would be the end of a small machine.
inline constexpr std::size_t kMostHeld = std::size_t{64} << 20;

struct Channel {
  std::uint32_t first = kNone;  // its outstanding tries, newest first
  std::uint32_t known = kNone;  // of these: from here on collect_new() has given them out
  std::uint32_t outstanding = 0;
  std::uint32_t owner = 0;  // the socket's or connection's place with its owner
  bool tcp = false;
  bool retired = false;  // takes no new queries; to be closed when nothing is outstanding
};

// A try on its way. A reference to it is record * kMaxTries + attempt.
struct Handle {
  std::uint32_t channel = kNone;  // kNone: not on its way (any more)
  std::uint32_t hash_next = kNone;
  std::uint32_t newer = kNone;  // in the channel's list
  std::uint32_t older = kNone;
  std::uint16_t id = 0;
  std::uint8_t resends = 0;  // TCP: how many connections have broken under it
};

struct Record {
  enum class State : std::uint8_t { kFree, kActive, kLingering };

  upstream::Exchange exchange;
  net::Asker asker;
  std::uint32_t tag = 0;
  std::uint16_t client_id = 0;
  std::uint16_t query_size = 0;
  State state = State::kFree;
  bool tcp = false;
  bool is_loop_query = false;
  Instant wake = kNever;
  std::uint32_t heap_at = kNone;
  std::uint32_t older = kNone;  // in the list of its state
  std::uint32_t newer = kNone;
  std::uint32_t linked = 0;  // tries on their way
  std::array<Handle, upstream::Exchange::kMaxTries> handles;
  std::array<std::uint8_t, kInlineQuery> small_query;
  std::vector<std::uint8_t> big_query;  // empty for those that fit above
  std::vector<std::uint8_t> bad_reply;  // the first bad one, its room kept for the next

  std::span<std::uint8_t> query() { return {big_query.empty() ? small_query.data() : big_query.data(), query_size}; }
};

class Pending {
 public:
  static std::uint32_t ref(std::uint32_t record, std::uint8_t attempt) {
    return record * upstream::Exchange::kMaxTries + attempt;
  }
  static std::uint32_t record_of(std::uint32_t ref) { return ref / upstream::Exchange::kMaxTries; }
  static std::uint8_t attempt_of(std::uint32_t ref) {
    return static_cast<std::uint8_t>(ref % upstream::Exchange::kMaxTries);
  }

  Pending();

  Record& at(std::uint32_t record) { return blocks_[record / kBlock][record % kBlock]; }
  Handle& handle(std::uint32_t ref) { return at(record_of(ref)).handles[attempt_of(ref)]; }

  std::uint32_t take(Record::State state);  // the newest of its state
  void move(std::uint32_t record, Record::State state);
  void release(std::uint32_t record);  // requires: none of its tries is linked

  // Copies into the record, which has none. false: too much is held already, nothing is kept.
  bool keep_query(std::uint32_t record, std::span<const std::uint8_t> query);
  bool keep_bad_reply(std::uint32_t record, std::span<const std::uint8_t> reply);

  std::uint32_t count(Record::State state) const { return lists_[index(state)].count; }
  std::uint32_t oldest(Record::State state) const { return lists_[index(state)].oldest; }  // or kNone

  std::uint32_t open_channel(std::uint32_t owner, bool tcp);
  void close_channel(std::uint32_t channel);  // requires: nothing outstanding
  Channel& channel(std::uint32_t channel) { return channels_[channel]; }

  void link(std::uint32_t channel, std::uint32_t ref, std::uint16_t id);
  void unlink(std::uint32_t ref);
  std::uint32_t find(std::uint32_t channel, std::uint16_t id);                  // the ref, or kNone
  bool is_overtaking(std::uint32_t ref) { return handle(ref).older != kNone; }  // an earlier one is outstanding there
  void collect(std::uint32_t channel, std::vector<std::uint32_t>& refs);        // all outstanding, oldest first
  void collect_new(std::uint32_t channel, std::vector<std::uint32_t>& refs);    // those that it has not given out yet

  void set_wake(std::uint32_t record, Instant wake);  // kNever: none
  std::uint32_t next_to_wake() const { return heap_.empty() ? kNone : heap_[0]; }

 private:
  static constexpr std::uint32_t kBlock = 32;
  static constexpr std::size_t kBuckets = 1 << 15;
  struct List {
    std::uint32_t oldest = kNone;
    std::uint32_t newest = kNone;
    std::uint32_t count = 0;
  };
  bool hold(std::size_t octets);
  static std::size_t index(Record::State state) { return static_cast<std::size_t>(state); }
  static std::size_t bucket(std::uint32_t channel, std::uint16_t id) {
    return ((channel * 0x9E3779B1U) ^ (id * 0x85EBCA77U)) >> 17;  // IDs are random: nobody can choose a bucket
  }
  void append(std::uint32_t record, Record::State state);
  void remove(std::uint32_t record);
  void sift_up(std::size_t at);
  void sift_down(std::size_t at);
  void put(std::size_t at, std::uint32_t record);

  std::vector<std::unique_ptr<Record[]>> blocks_;
  std::size_t held_ = 0;       // octets, at most kMostHeld
  std::array<List, 3> lists_;  // by state; the free ones are taken from the newest end, which is warm
  // The complement of the first ref of each chain: zero is none, so that memory fresh from the system needs no filling
  // and a forwarder at rest has no page of it.
  struct Free {
    void operator()(std::uint32_t* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::uint32_t[], Free> buckets_;
  std::vector<Channel> channels_;
  std::vector<std::uint32_t> free_channels_;
  std::vector<std::uint32_t> heap_;  // records by wake, a binary heap
};

}  // namespace har::forward
