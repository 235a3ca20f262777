// What a probe found out about its endpoint, and what an errno says of it. Reasons are static text.
// Thread: any.  Tested by: tcp_probe_test.cc
#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string_view>

#include "health/observation.h"

namespace har::probe {

struct Verdict {
  health::Outcome outcome = health::Outcome::kOtherError;
  std::uint16_t status = 0;  // of HTTP, 0 without one
  std::string_view reason;
};

inline constexpr int kNoFreePort = EADDRINUSE;  // as an errno of ours: the kernel's is EADDRNOTAVAIL for two things

// The errno of a connection attempt. Nothing when it tells of a shortage in ourselves (descriptors, memory, ports):
// that is no evidence about the endpoint.
std::optional<Verdict> connect_verdict(int error);

}  // namespace har::probe
