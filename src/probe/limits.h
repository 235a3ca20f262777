// How much the prober may have under way at once.
#pragma once

#include <cstdint>

namespace har::probe {

struct ProbeLimits {
  std::uint32_t in_flight = 2'000;
  std::uint32_t tls_handshakes = 64;  // unfinished ones
};

}  // namespace har::probe
