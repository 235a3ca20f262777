#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "table/layout.h"
#include "table/reader.h"
#include "table/slot.h"
#include "table/table_testing.h"
#include "table/writer.h"

namespace har::table {
namespace {

using namespace har::table::testing;

constexpr Family kBoth[] = {Family::kV4, Family::kV6};

TEST(Table, FindsConfiguredNamesInAnyCaseAndNothingElse) {
  const Table table(plan_of({"api.example.com", "www.example.com", "x"}));
  EXPECT_EQ(table.reader.slot_count(), 3u);
  EXPECT_EQ(table.reader.find(wire("api.example.com")), 0u);
  EXPECT_EQ(table.reader.find(wire("x")), 2u);
  auto mixed = wire("www.example.com");
  for (std::size_t i = 0; i < mixed.size(); i += 2) {
    if (mixed[i] >= 'a' && mixed[i] <= 'z') mixed[i] = static_cast<std::uint8_t>(mixed[i] - 32);
  }
  EXPECT_EQ(table.reader.find(mixed), 1u);
  EXPECT_EQ(table.reader.find(wire("api.example.com.evil.org")), kNoSlot);
  EXPECT_EQ(table.reader.find(wire("sub.api.example.com")), kNoSlot);
  EXPECT_EQ(table.reader.find(wire("example.com")), kNoSlot);
  EXPECT_EQ(table.reader.find(std::vector<std::uint8_t>{0}), kNoSlot);
  EXPECT_EQ(table.reader.find({}), kNoSlot);
  EXPECT_EQ(table.reader.find(std::vector<std::uint8_t>(300, 1)), kNoSlot);
}

TEST(Table, GivesANamesWireFormBack) {
  const Table table(plan_of({"api.example.com", "b"}));
  const auto name = table.reader.name(0);
  EXPECT_EQ(std::vector<std::uint8_t>(name.begin(), name.end()), wire("api.example.com"));
  EXPECT_TRUE(table.reader.name(2).empty());
}

TEST(Table, WithoutNamesIsATableToo) {
  const Table table(Plan{});
  EXPECT_EQ(table.reader.slot_count(), 0u);
  EXPECT_EQ(table.reader.find(wire("a.example")), kNoSlot);
  Reader::View view;
  EXPECT_FALSE(table.reader.read(0, Family::kV4, view));
}

TEST(Table, StartsNotReady) {
  const Table table(plan_of({"a.example"}));
  for (const Family family : kBoth) {
    Reader::View view;
    ASSERT_TRUE(table.reader.read(0, family, view));
    EXPECT_EQ(view.answer.kind, Kind::kForwardNotReady);
    EXPECT_EQ(view.answer.count, 0);
  }
  EXPECT_EQ(table.reader.last_beat(), kNever);
  EXPECT_EQ(table.reader.upstreams_version(), 0u);
  EXPECT_TRUE(table.reader.upstreams().empty());
}

TEST(Table, GivesBackEveryContentWhole) {
  Table table(plan_of({"a.example", "b.example"}));
  table.writer.write(1, content_number(7));
  for (std::uint32_t n = 0; n < 3000; ++n) {
    const auto content = content_number(n * 2654435761u);
    table.writer.write(0, content);
    for (const Family family : kBoth) {
      Reader::View view;
      ASSERT_TRUE(table.reader.read(0, family, view));
      ASSERT_TRUE(shows(view, content, family)) << n;
      ASSERT_TRUE(table.reader.read(1, family, view));
      ASSERT_TRUE(shows(view, content_number(7), family)) << n;
    }
  }
}

TEST(Table, GivesBackEveryKindOrderAndNote) {
  Table table(plan_of({"a.example"}));
  for (const Kind kind : {Kind::kNodata, Kind::kAddresses, Kind::kForward, Kind::kForwardNotReady, Kind::kServfail}) {
    for (const Note note : {Note::kNone, Note::kFailureMode, Note::kNotReady}) {
      SlotContent content;
      content.v4.kind = kind;
      content.v6.kind = Kind::kNodata;
      content.note = note;
      content.ttl = 0xFFFFFFFF;
      table.writer.write(0, content);
      for (const Family family : kBoth) {
        Reader::View view;
        ASSERT_TRUE(table.reader.read(0, family, view));
        EXPECT_TRUE(shows(view, content, family));
      }
    }
  }
}

TEST(Table, ALookAheadFindsTheSlotsOfABatch) {
  Plan plan;
  for (int i = 0; i < 1000; ++i) plan.names.push_back({wire(std::to_string(i) + ".host.example.com"), false});
  Table table(plan);
  std::vector<std::vector<std::uint8_t>> names;
  for (int i = 0; i < 30; ++i) names.push_back(wire(std::to_string(31 * i) + ".HOST.example.com"));
  names.push_back(wire("0.guest.example.com"));
  names.emplace_back();
  const std::vector<std::span<const std::uint8_t>> batch(names.begin(), names.end());
  std::array<std::uint32_t, Reader::kMostAhead> probable;
  table.reader.prefetch(batch, probable);
  for (std::uint32_t i = 0; i < 30; ++i) EXPECT_EQ(probable[i], 31 * i);
  EXPECT_EQ(probable[30], kNoSlot);
  EXPECT_EQ(probable[31], kNoSlot);
  Table empty{Plan{}};
  empty.reader.prefetch(batch, probable);
  EXPECT_EQ(probable[0], kNoSlot);
}

TEST(Table, FitsAHundredThousandNamesInHalfAKibibyteEach) {
  Plan plan;
  constexpr std::uint32_t kNames = 100'000;
  for (std::uint32_t i = 0; i < kNames; ++i)
    plan.names.push_back({wire(std::to_string(i) + ".host.example.com"), false});
  EXPECT_LE(Writer::bytes_needed(plan) / kNames, 520u);
  Table table(plan);
  const auto header = check_layout(table.memory.bytes()).value();
  EXPECT_GE(header.index_size, 2 * kNames);
  EXPECT_LE(header.longest_probe, 64u);
  for (std::uint32_t i = 0; i < kNames; ++i) {
    ASSERT_EQ(table.reader.find(plan.names[i].name), i);
  }
  for (std::uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(table.reader.find(wire(std::to_string(i) + ".guest.example.com")), kNoSlot);
  }
  table.writer.write(kNames - 1, content_number(77));
  Reader::View view;
  ASSERT_TRUE(table.reader.read(kNames - 1, Family::kV6, view));
  EXPECT_TRUE(shows(view, content_number(77), Family::kV6));
}

TEST(Table, CarriesLimitsGenerationAndHttpsForward) {
  Plan plan = plan_of({"a.example", "b.example"});
  plan.names[1].https_forward = true;
  plan.generation = 42;
  plan.limits.max_in_flight = 17;
  plan.limits.tcp_idle_timeout_ns = 18;
  plan.limits.state_max_age_ns = 19;
  const Table table(plan);
  EXPECT_FALSE(table.reader.https_forward(0));
  EXPECT_TRUE(table.reader.https_forward(1));
  EXPECT_FALSE(table.reader.https_forward(2));
  EXPECT_EQ(table.reader.generation(), 42u);
  EXPECT_EQ(table.reader.limits().max_in_flight, 17u);
  EXPECT_EQ(table.reader.limits().tcp_idle_timeout_ns, 18u);
  EXPECT_EQ(table.reader.limits().state_max_age_ns, 19u);
}

TEST(Table, RemembersTheWritersLastBeat) {
  Table table(plan_of({"a.example"}));
  table.writer.beat(Instant(std::chrono::seconds(5)));
  EXPECT_EQ(table.reader.last_beat(), Instant(std::chrono::seconds(5)));
  table.writer.beat(Instant{});
  EXPECT_NE(table.reader.last_beat(), kNever);
}

TEST(Table, SaysThatTheHostHasLostItsNetwork) {
  Table table(plan_of({"a.example"}));
  EXPECT_FALSE(table.reader.network_lost());
  table.writer.set_network_lost(true);
  EXPECT_TRUE(table.reader.network_lost());
  EXPECT_EQ(table.reader.last_beat(), kNever) << "a word of its own";
  table.writer.set_network_lost(false);
  EXPECT_FALSE(table.reader.network_lost());
}

TEST(Table, KeepsTheUpstreamsInTheirOrderAndCountsTheirChanges) {
  Table table(plan_of({"a.example"}));
  const std::vector<IpPort> first{{address("192.0.2.1"), 53, 0}, {address("fe80::1"), 5353, 7}};
  table.writer.set_upstreams(first);
  EXPECT_EQ(table.reader.upstreams(), first);
  const auto version = table.reader.upstreams_version();
  EXPECT_NE(version, 0u);
  table.writer.set_upstreams(first);
  EXPECT_EQ(table.reader.upstreams_version(), version) << "the same list is no change";
  const std::vector<IpPort> second{first[1], first[0]};
  table.writer.set_upstreams(second);
  EXPECT_EQ(table.reader.upstreams(), second);
  EXPECT_NE(table.reader.upstreams_version(), version);
  const auto before = table.reader.upstreams_version();
  table.writer.renew_upstreams();
  EXPECT_NE(table.reader.upstreams_version(), before) << "the ways to them are others";
  EXPECT_EQ(table.reader.upstreams(), second);
  table.writer.set_upstreams({});
  EXPECT_TRUE(table.reader.upstreams().empty());
  std::vector<IpPort> many(20, first[0]);
  table.writer.set_upstreams(many);
  EXPECT_EQ(table.reader.upstreams().size(), kMaxUpstreams);
}

TEST(Table, AllowsOnlyTheClientsOfItsPrefixes) {
  Plan plan = plan_of({"a.example"});
  for (const char* text : {"127.0.0.0/8", "::1", "10.1.0.0/16", "10.0.0.0/8", "2001:db8::/32", "192.0.2.128/25"}) {
    plan.allow_clients.push_back(IpPrefix::parse(text).value());
  }
  const Table table(plan);
  for (const char* text : {"127.0.0.1", "127.255.0.1", "::1", "10.0.0.0", "10.1.2.3", "10.255.255.255",
                           "2001:db8:ffff::1", "192.0.2.128", "192.0.2.255", "::ffff:10.2.3.4"}) {
    EXPECT_TRUE(table.reader.allows(address(text))) << text;
  }
  for (const char* text : {"126.255.255.255", "128.0.0.0", "::2", "::", "9.255.255.255", "11.0.0.0",
                           "2001:db9::", "192.0.2.127", "192.0.3.0", "0.0.0.0", "::ffff:11.0.0.1", "ffff::"}) {
    EXPECT_FALSE(table.reader.allows(address(text))) << text;
  }
  EXPECT_FALSE(Table(Plan{}).reader.allows(address("127.0.0.1")));
  EXPECT_FALSE(Table(Plan{}).reader.allows_own());
  Plan own;
  own.own_clients = true;
  EXPECT_TRUE(Table(own).reader.allows_own());
}

// The independent oracle: every prefix asked in turn.
TEST(Table, SearchesThousandsOfPrefixesAsALinearSearchWould) {
  std::mt19937 random(1);
  Plan plan;
  for (int i = 0; i < 3000; ++i) {
    IpPrefix prefix;
    prefix.ip.family = kBoth[random() % 2];
    const std::size_t size = prefix.ip.size();
    for (std::size_t octet = 0; octet < 3; ++octet) prefix.ip.bytes[octet] = static_cast<std::uint8_t>(random() % 7);
    prefix.ip.bytes[size - 1] = static_cast<std::uint8_t>(random());  // host bits: the writer must not mind them
    prefix.length = static_cast<std::uint8_t>(8 + random() % (size * 8 - 7));
    plan.allow_clients.push_back(prefix);
  }
  const Table table(plan);
  int allowed = 0;
  for (int i = 0; i < 20000; ++i) {
    IpAddress client;
    client.family = kBoth[random() % 2];
    for (std::size_t octet = 0; octet < 3; ++octet) client.bytes[octet] = static_cast<std::uint8_t>(random() % 8);
    if (random() % 2 == 0) client.bytes[client.size() - 1] = static_cast<std::uint8_t>(random());
    bool expected = false;
    for (const auto& prefix : plan.allow_clients) expected = expected || prefix.contains(client);
    ASSERT_EQ(table.reader.allows(client), expected) << client.to_string();
    allowed += expected;
  }
  EXPECT_GT(allowed, 1000);
  EXPECT_LT(allowed, 19000);
}

TEST(Table, IsNotOpenedBeforeItIsFinishedOrWhenCutShort) {
  const Plan plan = plan_of({"a.example", "b.example"});
  Memory empty(Writer::bytes_needed(plan));
  EXPECT_FALSE(Reader::open(empty.bytes()));
  EXPECT_FALSE(Writer::adopt(empty.bytes()));
  Table table(plan);
  const auto bytes = table.memory.bytes();
  EXPECT_TRUE(Writer::adopt(bytes));
  for (const std::size_t size : {std::size_t{0}, std::size_t{8}, kFixedSize, bytes.size() - 1}) {
    EXPECT_FALSE(Reader::open(bytes.first(size))) << size;
    EXPECT_FALSE(Writer::adopt(bytes.first(size))) << size;
  }
  EXPECT_FALSE(Reader::open(bytes.subspan(8)));
}

TEST(Table, OfAnotherLayoutVersionIsRefusedWithBothVersions) {
  Table table(plan_of({"a.example"}));
  table.memory.bytes()[offsetof(Header, version)] = std::byte{9};
  const auto result = Reader::open(table.memory.bytes());
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("version 9"), std::string::npos);
}

// What the fuzzer does at length (tests/fuzz/table_fuzz.cc): any octet of the memory may be anything.
TEST(Table, WithAnyOctetChangedIsReadWithoutHarm) {
  Plan plan = plan_of({"a.example", "b.example"});
  plan.allow_clients.push_back(IpPrefix::parse("10.0.0.0/8").value());
  Table table(plan);
  table.writer.write(0, content_number(12345));
  table.writer.set_upstreams(std::vector<IpPort>(3, {address("192.0.2.1"), 53, 0}));
  const auto bytes = table.memory.bytes();
  int opened = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const auto value : {std::byte{0xFF}, std::byte{0x80}, bytes[at] ^ std::byte{1}}) {
      const auto before = bytes[at];
      bytes[at] = value;
      if (const auto reader = Reader::open(bytes)) {
        ++opened;
        for (std::uint32_t slot = 0; slot < reader->slot_count(); ++slot) {
          Reader::View view;
          for (const Family family : kBoth) {
            if (reader->read(slot, family, view)) {
              EXPECT_LE(view.answer.count, kMaxAddresses);
              EXPECT_LE(view.answer.group, view.answer.count);
            }
          }
          EXPECT_LE(reader->name(slot).size(), 255u);
        }
        reader->find(wire("b.example"));
        reader->allows(address("10.0.0.1"));
        EXPECT_LE(reader->upstreams().size(), kMaxUpstreams);
      }
      bytes[at] = before;
    }
  }
  EXPECT_GT(opened, 1000);
}

// The end of a writer, at every store.
struct Killed {};
struct StoreUntilKilled {
  int* left;
  void operator()(Word& word, std::uint64_t value) const {
    if ((*left)-- == 0) throw Killed{};
    StoreWord{}(word, value);
  }
};

TEST(Table, StaysReadableWhereverItsWriterIsKilledAndIsAdopted) {
  Table table(plan_of({"a.example", "b.example"}));
  auto* const slot = table.memory.bytes().data() + check_layout(table.memory.bytes())->slots_offset;
  std::uint32_t number = 7;
  table.writer.write(0, content_number(number));
  int deaths = 0;
  for (std::uint32_t next = 8; next < 200; ++next) {
    for (int stores = 0;; ++stores) {
      int left = stores;
      bool killed = false;
      try {
        publish(
            slot_block(slot), [&](auto put) { encode_slot(content_number(next), put); }, StoreUntilKilled{&left});
      } catch (const Killed&) {
        killed = true;
        ++deaths;
      }
      if (!killed) number = next;
      for (const Family family : kBoth) {
        Reader::View view;
        ASSERT_TRUE(table.reader.read(0, family, view));
        ASSERT_TRUE(shows(view, content_number(number), family)) << "killed before store " << stores;
      }
      ASSERT_TRUE(Reader::open(table.memory.bytes()));
      auto heir = Writer::adopt(table.memory.bytes());
      ASSERT_TRUE(heir);
      if (!killed) break;
      if (stores % 3 == 0) {  // the heir goes on from the half-done state, or the next death does
        heir->write(0, content_number(++number + 1000));
        number += 1000;
        for (const Family family : kBoth) {
          Reader::View view;
          ASSERT_TRUE(table.reader.read(0, family, view));
          ASSERT_TRUE(shows(view, content_number(number), family));
        }
      }
    }
  }
  EXPECT_GT(deaths, 1000);
}

TEST(Table, KeepsItsUpstreamsWhereverItsWriterIsKilled) {
  Table table(plan_of({"a.example"}));
  std::vector<IpPort> current{{address("192.0.2.1"), 53, 0}};
  table.writer.set_upstreams(current);
  const auto version = table.reader.upstreams_version();
  std::vector<IpPort> next(5, {address("2001:db8::1"), 5353, 3});
  const auto block = upstreams_block(table.memory.bytes().data());
  for (int stores = 0;; ++stores) {
    int left = stores;
    try {
      publish(
          block, [&](auto put) { encode_upstreams(next, put); }, StoreUntilKilled{&left});
      break;
    } catch (const Killed&) {
      ASSERT_EQ(table.reader.upstreams(), current) << "killed before store " << stores;
      ASSERT_EQ(table.reader.upstreams_version(), version);
    }
  }
  EXPECT_EQ(table.reader.upstreams(), next);
  auto heir = Writer::adopt(table.memory.bytes());
  ASSERT_TRUE(heir);
  heir->set_upstreams(current);
  EXPECT_EQ(table.reader.upstreams(), current);
}

// A creation that ends early leaves no table behind: the magic number is the last store.
TEST(Table, HasItsMagicNumberWrittenLast) {
  Plan plan = plan_of({"a.example"});
  Table table(plan);
  std::memset(table.memory.bytes().data(), 0, sizeof(std::uint64_t));
  EXPECT_FALSE(Reader::open(table.memory.bytes()));
}

}  // namespace
}  // namespace har::table
