// Rewrites the slots of a running daemon's answer table at a rate, each with what it says already: how much do readers
// notice of a writer that never rests?
//
//   slot_writer KEEPER-PID WRITES-A-SECOND SECONDS
//
// Needs root. The daemon's own writer must have nothing to write meanwhile (slow checks): a table has one writer.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "net/memory.h"
#include "table/reader.h"
#include "table/writer.h"

using Clock = std::chrono::steady_clock;

namespace {

// The keeper's descriptor of the table's memory, opened for ourselves.
har::net::Fd open_table(const std::string& pid) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + pid + "/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
    if (target.find("memfd:har-table") != std::string::npos) {
      return har::net::Fd(open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
    }
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: slot_writer KEEPER-PID WRITES-A-SECOND SECONDS\n"), 2;
  const har::net::Fd memory = open_table(argv[1]);
  if (!memory) return std::fprintf(stderr, "slot_writer: no table\n"), 1;
  auto mapping = har::net::Mapping::map(memory, har::net::Mapping::Mode::kReadWrite);
  if (!mapping) return std::fprintf(stderr, "slot_writer: %s\n", mapping.error().message.c_str()), 1;
  auto reader = har::table::Reader::open(mapping->bytes());
  auto writer = har::table::Writer::adopt(mapping->bytes());
  if (!reader || !writer || reader->slot_count() == 0) return std::fprintf(stderr, "slot_writer: bad table\n"), 1;

  const auto step = std::chrono::nanoseconds(1'000'000'000 / std::atol(argv[2]));
  const auto end = Clock::now() + std::chrono::seconds(std::atol(argv[3]));
  std::uint64_t written = 0;
  for (auto due = Clock::now(); due < end; due += step) {
    while (Clock::now() < due) {
      const timespec rest{0, 20'000};
      nanosleep(&rest, nullptr);
    }
    const auto slot = static_cast<std::uint32_t>(written++ % reader->slot_count());
    har::table::Reader::View v4, v6;
    if (!reader->read(slot, har::Family::kV4, v4) || !reader->read(slot, har::Family::kV6, v6)) return 1;
    har::table::SlotContent content;
    content.ttl = v4.ttl;
    content.note = v4.note;
    content.v4 = v4.answer;
    content.v6 = v6.answer;
    writer->write(slot, content);
  }
  std::printf("%llu written\n", static_cast<unsigned long long>(written));
}
