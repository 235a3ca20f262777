// A smoothed round-trip time: each new measurement has weight 1/4, the first one stands for itself.
// Why 1/4 and not TCP's 1/8 (RFC 6298): probes come every two seconds, and a detour that lasts ten should show in ten.
// Source: SEMANTICS "Checking", RTT.  Thread: any (a value).  Tested by: rtt_test.cc
#pragma once

#include <cstdint>

#include "base/time.h"

namespace har::health {

// The measurements that make an average one to rely on: margin and dwell bind only then.
inline constexpr std::uint32_t kEnoughMeasurements = 5;

class RttAverage {
 public:
  // Zero or less is no measurement and changes nothing.
  void add(Duration measured);
  // An average from before a restart: counts like one made of kEnoughMeasurements.
  void restore(Duration average);
  // Keeps the value as a hint for the order only: the next measurement replaces it.
  void forget_measurements() { measurements_ = 0; }

  Duration value() const { return value_; }  // zero: not known
  std::uint32_t measurements() const { return measurements_; }

 private:
  Duration value_{};
  std::uint32_t measurements_ = 0;  // stops at kEnoughMeasurements: more is never asked for
};

}  // namespace har::health
