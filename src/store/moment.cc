#include "store/moment.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <fstream>
#include <string>

#include "net/clock.h"

namespace har::store {
namespace {

// The first half of a UUID is enough to tell one boot from the others.
std::uint64_t read_boot() {
  std::string text;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> text;
  std::erase(text, '-');
  std::uint64_t boot = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + std::min<std::size_t>(16, text.size()), boot, 16);
  return error == std::errc() ? boot : 0;
}

}  // namespace

Moment Moment::current() {
  static std::atomic<std::uint64_t> boot = 0;
  if (boot == 0) boot = read_boot();  // also again: it may have failed for want of a descriptor
  return {net::now(), net::wall_now(), net::boot_now(), boot};
}

}  // namespace har::store
