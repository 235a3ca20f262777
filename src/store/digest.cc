#include "store/digest.h"

#include <functional>
#include <string>

namespace har::store {
namespace {

void mix(std::uint64_t& digest, std::uint64_t value) {
  digest = (digest ^ value) * 0x9E3779B97F4A7C15;
  digest ^= digest >> 32;
}

}  // namespace

std::uint64_t key_of(std::string_view candidate, std::string_view address) {
  std::uint64_t key = 0xCBF29CE484222325;
  mix(key, std::hash<std::string_view>{}(candidate));
  mix(key, std::hash<std::string_view>{}(address));
  return key;
}

std::uint64_t digest_of(const EndpointRow& row) {
  std::uint64_t digest = 0xCBF29CE484222325;
  const auto mix = [&digest](std::uint64_t value) { store::mix(digest, value); };
  const auto mix_time = [&mix](const std::optional<Instant>& time) {
    mix(time ? static_cast<std::uint64_t>(time->time_since_epoch().count()) : 1);
  };
  const health::EndpointReport& r = row.report;
  mix(static_cast<std::uint64_t>(r.state) << 2 | static_cast<std::uint64_t>(r.drained) << 1 |
      static_cast<std::uint64_t>(r.chosen));
  for (const std::uint64_t count : {r.successes, r.timeouts, r.connect_errors, r.response_errors, r.other_errors,
                                    row.dns_successes, row.dns_timeouts, row.dns_errors}) {
    mix(count);
  }
  mix_time(r.last_check);
  mix_time(r.last_success);
  mix_time(r.last_failure);
  mix(std::hash<std::string>{}(r.last_status));
  mix(static_cast<std::uint64_t>(r.connect_time.count()));
  mix(static_cast<std::uint64_t>(r.response_time.count()));
  return digest | 1;
}

}  // namespace har::store
