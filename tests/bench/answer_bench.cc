// The steps of a query in the answerer, without sockets: parse and decide, find a name, read a slot, write one.
// A decision costs some 140 ns, 0.8 us where 100,000 names asked in no order leave every cache cold (2.6 GHz, 2026);
// the kernel takes several times that for a packet.
#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

#include "answer/answer.h"
#include "dns/addresses.h"
#include "dns/name.h"
#include "dns/query.h"
#include "table/reader.h"
#include "table/writer.h"

namespace {

using har::Family;
using har::Instant;
using har::table::Kind;
using har::table::Order;
using har::table::Reader;
using har::table::SlotContent;
using har::table::Writer;
using Bytes = std::vector<std::uint8_t>;

constexpr Instant kNow{std::chrono::hours(1)};

std::string host(std::int64_t i) { return "host-" + std::to_string(i) + ".service.example.com"; }

har::table::FamilyAnswer answer_with(Order order, std::uint8_t answer_count) {
  har::table::FamilyAnswer answer;
  answer.kind = Kind::kAddresses;
  answer.order = order;
  answer.count = answer.group = 4;
  answer.answer_count = answer_count;
  for (std::uint8_t i = 0; i < 4; ++i) answer.addresses[i] = {192, 0, 2, i};
  answer.weights = {1, 2, 3, 4};
  return answer;
}

// A table of `names` hosts in which every one has four addresses a family.
class Fixture {
 public:
  explicit Fixture(std::int64_t names, Order order = Order::kFirst, std::uint8_t answer_count = 1)
      : content_{answer_with(order, answer_count), answer_with(order, answer_count), 0, har::table::Note::kNone},
        lines_(Writer::bytes_needed(plan(names)) / sizeof(Line) + 1),
        writer(Writer::create(memory(), plan(names))),
        reader(Reader::open(memory()).value()),
        turns(1, reader.slot_count()) {
    for (std::uint32_t slot = 0; slot < reader.slot_count(); ++slot) writer.write(slot, content_);
    writer.beat(kNow);
  }

  const SlotContent& content() const { return content_; }
  std::span<std::byte> memory() { return {reinterpret_cast<std::byte*>(lines_.data()), lines_.size() * sizeof(Line)}; }

 private:
  struct alignas(64) Line {
    std::byte octets[64];
  };
  static har::table::Plan plan(std::int64_t names) {
    har::table::Plan out;
    for (std::int64_t i = 0; i < names; ++i) out.names.push_back({har::dns::name_to_wire(host(i)).value(), false});
    return out;
  }

  SlotContent content_;
  std::vector<Line> lines_;

 public:
  Writer writer;
  Reader reader;
  har::answer::Turns turns;
};

Bytes query(const std::string& name, std::uint16_t type, bool edns) {
  Bytes packet(512);
  const auto wire = har::dns::name_to_wire(name).value();
  packet.resize(har::dns::write_query(7, wire, type, packet));
  if (edns) {
    packet[11] = 1;
    const Bytes opt{0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0};
    packet.insert(packet.end(), opt.begin(), opt.end());
  }
  return packet;
}

// Asks for names in an order that is far from that of the memory.
void decide_over(benchmark::State& state, Fixture& fixture, const std::vector<Bytes>& packets) {
  Bytes out(4096);
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        har::answer::decide(packets[next], har::answer::Transport::kUdp, fixture.reader, fixture.turns, kNow, out));
    next = (next + 7919) % packets.size();
  }
  state.SetItemsProcessed(state.iterations());
}

void decide_configured(benchmark::State& state) {
  Fixture fixture(state.range(0), static_cast<Order>(state.range(1)), static_cast<std::uint8_t>(state.range(2)));
  std::vector<Bytes> packets;
  for (std::int64_t i = 0; i < state.range(0); ++i) packets.push_back(query(host(i), har::dns::kTypeA, true));
  decide_over(state, fixture, packets);
}
BENCHMARK(decide_configured)
    ->ArgNames({"names", "order", "answer_count"})
    ->Args({1, 0, 1})
    ->Args({1, 1, 1})
    ->Args({1, 2, 4})
    ->Args({1, 3, 4})
    ->Args({1000, 0, 1})
    ->Args({100'000, 0, 1});

// As the worker meets them: 32 packets in one system call, looked at together and then decided one by one.
void decide_batch(benchmark::State& state) {
  Fixture fixture(state.range(0));
  std::vector<Bytes> packets;
  for (std::int64_t i = 0; i < state.range(0); ++i) packets.push_back(query(host(i), har::dns::kTypeA, true));
  Bytes out(4096);
  std::size_t next = 0;
  std::array<std::span<const std::uint8_t>, Reader::kMostAhead> batch;
  std::array<std::uint32_t, Reader::kMostAhead> slots;
  for (auto _ : state) {
    for (auto& packet : batch) packet = packets[next = (next + 7919) % packets.size()];
    benchmark::DoNotOptimize(har::answer::prefetch(batch, fixture.reader, slots));
    for (const auto packet : batch) {
      benchmark::DoNotOptimize(
          har::answer::decide(packet, har::answer::Transport::kUdp, fixture.reader, fixture.turns, kNow, out));
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch.size()));
}
BENCHMARK(decide_batch)->ArgName("names")->Arg(10)->Arg(1000)->Arg(10'000)->Arg(100'000);

void decide_forwarded(benchmark::State& state) {
  Fixture fixture(state.range(0));
  std::vector<Bytes> packets;
  for (int i = 0; i < 1000; ++i) {
    packets.push_back(query("www-" + std::to_string(i) + ".elsewhere.example.net", har::dns::kTypeA, true));
  }
  decide_over(state, fixture, packets);
}
BENCHMARK(decide_forwarded)->ArgName("names")->Arg(1)->Arg(100'000);

void parse(benchmark::State& state) {
  const auto packet = query(host(1), har::dns::kTypeA, true);
  for (auto _ : state) benchmark::DoNotOptimize(har::dns::parse_query(packet));
}
BENCHMARK(parse);

void find(benchmark::State& state) {
  const Fixture fixture(state.range(0));
  std::vector<Bytes> names;
  for (std::int64_t i = 0; i < state.range(0); ++i) names.push_back(har::dns::name_to_wire(host(i)).value());
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(fixture.reader.find(names[next]));
    next = (next + 7919) % names.size();
  }
}
BENCHMARK(find)->ArgName("names")->Arg(1)->Arg(1000)->Arg(100'000);

void read(benchmark::State& state) {
  const Fixture fixture(1);
  Reader::View view;
  const Family family = state.range(0) == 4 ? Family::kV4 : Family::kV6;
  for (auto _ : state) {
    fixture.reader.read(0, family, view);
    benchmark::DoNotOptimize(view);
  }
}
BENCHMARK(read)->ArgName("family")->Arg(4)->Arg(6);

void write(benchmark::State& state) {
  Fixture fixture(1);
  for (auto _ : state) {
    fixture.writer.write(0, fixture.content());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(write);

void open_table(benchmark::State& state) {
  Fixture fixture(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(Reader::open(fixture.memory()));
}
BENCHMARK(open_table)->ArgName("names")->Arg(100'000)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
