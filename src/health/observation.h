// Any evidence about an endpoint: a probe's outcome first, other sources later. A value; health takes these, not
// probes.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"

namespace har::health {

enum class Outcome : std::uint8_t { kOk, kTimeout, kConnectError, kResponseError, kOtherError };
enum class State : std::uint8_t { kUnknown, kUp, kDown };

std::string_view word(Outcome outcome);  // "ok", "timeout", "connect_error", "response_error", "other_error"
std::string_view word(State state);      // "unknown", "up", "down"

struct Observation {
  Outcome outcome = Outcome::kOtherError;
  Instant started{};
  Instant ended{};
  Duration connect{};        // the kernel's handshake RTT; zero when there was no connection
  Duration total{};          // start to verdict
  bool rtt_counts = true;    // false: our own loop was late, the RTTs are not used
  std::uint16_t status = 0;  // HTTP status, 0 without one
  std::string_view reason;   // static text for people: "refused", "status 500", "certificate expired", ...
};

}  // namespace har::health
