// What history and state cost on their way into the file, a row: one transaction for many, as the store writes them.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "store/batch.h"
#include "store/session.h"

namespace {

using namespace har;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr WallTime kWall{std::chrono::hours(24 * 365 * 50)};
constexpr store::Moment kMoment{Instant{std::chrono::hours(1)}, kWall, Instant{std::chrono::hours(2)}, 1};

// A file of its own in the temporary folder.
struct File {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("har-store-bench-" + std::to_string(getpid()));
  std::unique_ptr<store::Session> session;

  File() {
    std::filesystem::create_directory(folder);
    session = std::move(*store::Session::open((folder / "bench.db").string(), milliseconds(100)));
  }
  ~File() {
    session.reset();
    std::filesystem::remove_all(folder);
  }
};

std::string host(std::int64_t i) { return "host-" + std::to_string(i) + ".service.example.com"; }

void write_samples(benchmark::State& state) {
  File file;
  std::int64_t moment = 0;
  for (auto _ : state) {
    store::Batch batch;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      batch.samples.push_back({kWall + microseconds(++moment), host(i % 100), "candidate",
                               *IpAddress::parse("192.0.2.1"), microseconds(200), microseconds(900),
                               health::Outcome::kOk});
    }
    if (!file.session->write(batch)) return state.SkipWithError("not written");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(write_samples)->Arg(100)->Arg(1'000)->Arg(10'000);

void write_state(benchmark::State& state) {
  File file;
  std::uint64_t successes = 0;
  for (auto _ : state) {
    ++successes;
    std::vector<store::NameRow> names;
    std::vector<store::EndpointRow> rows;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      names.push_back({host(i), successes});
      for (std::uint8_t c = 0; c < 3; ++c) {
        store::EndpointRow& row = rows.emplace_back();
        row.report.name = host(i);
        row.report.candidate = "candidate" + std::to_string(c);
        row.report.address = IpAddress::v4(std::array<std::uint8_t, 4>{192, 0, 2, c}.data());
        row.report.successes = successes;
      }
    }
    store::Batch batch;
    batch.add_state(store::StateRows::of(std::move(names), std::move(rows), kMoment));
    if (!file.session->write(batch)) return state.SkipWithError("not written");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * 3);  // endpoints
}
BENCHMARK(write_state)->Arg(100)->Arg(2'000);

}  // namespace

BENCHMARK_MAIN();
