// What one observation costs the checker's control thread: 10,000 names of three candidates each, every name's answer
// depending on RTT. The cost must follow the change, not the number of names.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "config/check_testing.h"
#include "dns/name.h"
#include "health/directory.h"
#include "table/writer.h"

namespace har::health {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// `shared`: the names share their candidates, a hundred names each; else every name has its own.
std::shared_ptr<const config::Config> configuration(std::uint32_t names, bool shared,
                                                    config::Thresholds thresholds = {}) {
  auto config = std::make_shared<config::Config>();
  for (std::uint32_t i = 0; i < names; ++i) {
    config::Name name;
    name.host = "n" + std::to_string(i) + ".example";
    name.thresholds = thresholds;
    for (std::uint32_t c = 0; c < 3; ++c) {
      const std::uint32_t number = (shared ? i / 100 : i) * 3 + c;
      config::Candidate candidate;
      candidate.title = "10." + std::to_string(number >> 16 & 255) + "." + std::to_string(number >> 8 & 255) + "." +
                        std::to_string(number & 255);
      candidate.check = config::check_of_host(candidate.title);
      name.candidates.push_back(candidate);
    }
    config->names.push_back(name);
  }
  return config;
}

struct Setup {
  Setup(std::uint32_t names, bool shared, config::Thresholds thresholds = {}) {
    directory.configure(configuration(names, shared, thresholds), now);
    checks = directory.take_changes().started;
    for (int round = 0; round < 6; ++round) {
      for (const CheckId id : checks) observe(id, Outcome::kOk, milliseconds(5 + id % 3 * 20));
    }
    directory.take_changes();
  }
  void observe(CheckId id, Outcome outcome, Duration rtt) {
    Observation o;
    o.outcome = outcome;
    o.started = o.ended = now;
    o.total = o.connect = rtt;
    directory.observe(id, o, now);
  }
  Directory directory{"machine", 1};
  Instant now{std::chrono::hours(1)};
  std::vector<CheckId> checks;
};

void observe_without_change(benchmark::State& state) {
  Setup setup(static_cast<std::uint32_t>(state.range(0)), state.range(1) != 0);
  std::size_t i = 0;
  for (auto _ : state) {
    const CheckId id = setup.checks[i++ % setup.checks.size()];
    setup.observe(id, Outcome::kOk, milliseconds(5 + id % 3 * 20) + microseconds(i % 53));
    benchmark::DoNotOptimize(setup.directory.take_changes());
  }
}
BENCHMARK(observe_without_change)->Args({10, 0})->Args({10'000, 0})->Args({10'000, 1});

// Down after `fall`, up after `rise`: every fifth observation or so writes a slot and two events.
void observe_changes(benchmark::State& state) {
  Setup setup(static_cast<std::uint32_t>(state.range(0)), false);
  std::size_t i = 0;
  std::size_t slots = 0;
  for (auto _ : state) {
    const std::size_t step = i++;
    const CheckId id = setup.checks[step / 5 % setup.checks.size()];
    setup.now += milliseconds(1);
    setup.observe(id, step % 5 < 3 ? Outcome::kTimeout : Outcome::kOk, milliseconds(5));
    const Changes changes = setup.directory.take_changes();
    for (const std::uint32_t slot : changes.slots) {
      benchmark::DoNotOptimize(setup.directory.content(slot));
      ++slots;
    }
  }
  state.counters["slots"] = benchmark::Counter(static_cast<double>(slots), benchmark::Counter::kAvgIterations);
}
BENCHMARK(observe_changes)->Arg(10)->Arg(10'000);

// From the observation that decides to the slot in shared memory: what "one changed endpoint reaches the answers"
// costs.
void change_reaches_the_table(benchmark::State& state) {
  Setup setup(static_cast<std::uint32_t>(state.range(0)), false, {.fall = 1, .rise = 1, .ok_reset = 1});
  table::Plan plan;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    plan.names.push_back({*dns::name_to_wire("n" + std::to_string(i) + ".example"), false});
  }
  struct alignas(64) Line {
    std::byte octets[64];
  };
  std::vector<Line> memory(table::Writer::bytes_needed(plan) / sizeof(Line) + 1);
  table::Writer writer = table::Writer::create(std::as_writable_bytes(std::span(memory)), plan);
  std::size_t i = 0, slots = 0;
  for (auto _ : state) {
    const std::size_t step = i++;
    // The one in front of its name goes down and comes back; so much later that it does not count as flapping.
    const CheckId id = setup.checks[(step / 2 * 3 + 2) % setup.checks.size()];
    setup.now += std::chrono::minutes(11);
    setup.observe(id, step % 2 == 0 ? Outcome::kTimeout : Outcome::kOk, milliseconds(5));
    for (const std::uint32_t slot : setup.directory.take_changes().slots) {
      writer.write(slot, setup.directory.content(slot));
      ++slots;
    }
  }
  state.counters["slots"] = benchmark::Counter(static_cast<double>(slots), benchmark::Counter::kAvgIterations);
}
BENCHMARK(change_reaches_the_table)->Arg(10)->Arg(10'000)->Arg(100'000);

void configure(benchmark::State& state) {
  const auto config = configuration(static_cast<std::uint32_t>(state.range(0)), state.range(1) != 0);
  for (auto _ : state) {
    Directory directory("machine", 1);
    directory.configure(config, Instant{});
    benchmark::DoNotOptimize(directory.take_changes());
  }
}
BENCHMARK(configure)->Args({10'000, 0})->Args({10'000, 1})->Unit(benchmark::kMillisecond);

void reload(benchmark::State& state) {
  Setup setup(static_cast<std::uint32_t>(state.range(0)), false);
  const auto config = configuration(static_cast<std::uint32_t>(state.range(0)), false);
  for (auto _ : state) {
    setup.directory.configure(config, setup.now);
    benchmark::DoNotOptimize(setup.directory.take_changes());
  }
}
BENCHMARK(reload)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace har::health

BENCHMARK_MAIN();
