// The query path allocates nothing: this binary's operator new counts.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include "answer/answer.h"
#include "answer/answer_testing.h"
#include "table/table_testing.h"

// Clang's sanitizers bring an operator new that cannot be replaced; GCC's can.
#if defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HAR_CANNOT_COUNT 1
#endif
#endif

namespace {

thread_local std::size_t allocations = 0;

}  // namespace

#ifndef HAR_CANNOT_COUNT

// Malloc and free are what new and delete are made of here; GCC looks through the inlined halves and sees a mismatch.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  if (void* at = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)) return at;
  throw std::bad_alloc();
}

}  // namespace

// The other forms of new and delete come down to these.
void* operator new(std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }
void operator delete(void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete(void* at, std::size_t, std::align_val_t) noexcept { std::free(at); }

#endif

namespace har::answer {
namespace {

using namespace har::answer::testing;
using namespace har::table::testing;
using table::Kind;
using table::Order;

TEST(QueryPath, AllocatesNothing) {
#ifdef HAR_CANNOT_COUNT
  GTEST_SKIP() << "this sanitizer's operator new cannot be replaced";
#endif
  const auto before_any = allocations;
  const auto one = std::make_unique<int>(1);
  ASSERT_GT(allocations, before_any) << "the counting does not work";

  Table table(plan_of({"a.example", "b.example"}));
  Turns turns(1, 2);
  Bytes out(4096);
  std::vector<Bytes> packets;
  for (const char* name : {"a.example", "b.example", "c.example", "_1._https.a.example"}) {
    for (const unsigned type : {1u, 28u, 255u, 65u, 15u, 252u}) {
      for (const auto& opt : {std::optional<Opt>(), std::optional<Opt>(Opt{}), std::optional<Opt>(Opt{.version = 1})}) {
        packets.push_back(packet_of({.name = name, .type = type, .opt = opt}));
      }
    }
  }
  packets.push_back(Bytes(5));
  packets.push_back(Bytes(12));
  auto nxdomain = packet_of({.flags = dns::kQr | 3u});
  const auto client = address("192.0.2.1");

  std::size_t during = 0;
  std::size_t replies = 0;
  for (const Kind kind : {Kind::kNodata, Kind::kForward, Kind::kForwardNotReady, Kind::kServfail, Kind::kAddresses}) {
    for (const Order order : {Order::kFirst, Order::kInTurn, Order::kRandom, Order::kWeighted}) {
      table::SlotContent content;
      content.v4 = answer_of({"192.0.2.1", "192.0.2.2", "192.0.2.3"}, order, 2);
      content.v6 = answer_of({"2001:db8::1", "2001:db8::2"}, order, 2);
      content.v4.kind = content.v6.kind = kind;
      content.v4.weights = {1, 2, 3};
      content.note = table::Note::kFailureMode;
      bool cookies_seen = false;
      const auto start = allocations;
      table.writer.write(0, content);
      table.writer.beat(Instant(std::chrono::seconds(1)));
      for (const auto& packet : packets) {
        for (const auto transport : {Transport::kUdp, Transport::kTcp}) {
          const auto decision = decide(packet, transport, table.reader, turns, Instant(std::chrono::hours(9)), out);
          replies += decision.verdict == Verdict::kReply;
          if (packet.size() < 12) continue;
          for (const auto rule : {Rule::kPass, Rule::kNameExists, Rule::kNotReady}) {
            finish(rule, packet, transport, nxdomain, out, cookies_seen);
          }
          servfail(packet, transport, Failure::kNoUpstream, out);
        }
        table.reader.allows(client);
      }
      during += allocations - start;
    }
  }
  EXPECT_EQ(during, 0u);
  EXPECT_GT(replies, 100u);
}

}  // namespace
}  // namespace har::answer
