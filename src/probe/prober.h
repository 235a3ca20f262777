// Runs the probes: keeps every check's schedule, starts TCP and HTTP(S) probes, yields one observation each.
// Source: SEMANTICS "Checking".  Thread: the control thread.
// Tested by: prober_test.cc, schedule_test.cc, http_exchange_test.cc, tls_stream_test.cc, tcp_probe_test.cc
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/log.h"
#include "health/directory.h"
#include "net/loop.h"
#include "probe/limits.h"

namespace har::probe {

class Prober {
 public:
  using Observed = std::function<void(health::CheckId, const health::Observation&)>;  // never from inside add()

  Prober(net::Loop& loop, const Log& log, ProbeLimits limits, std::uint64_t seed, Observed observed);
  ~Prober();

  // The first probe starts at once (all first probes together are paced so that the machine is not flooded).
  void add(health::CheckId id, const health::CheckTarget& target, const health::Pace& pace);
  void remove(health::CheckId id);  // a running probe is given up; no observation comes
  void repace(health::CheckId id, const health::Pace& pace);
  void check_now(health::CheckId id);
  void check_all_now();  // paced as the first round is
  void set_limits(ProbeLimits limits);
  void read_ca_files_again();  // for the probes that begin from now on

  std::size_t in_flight() const;
  double stretch() const;  // 1.0: every schedule is kept; 2.0: all intervals are twice as long
  struct Stats {
    std::uint64_t started = 0, late = 0, discarded = 0;
  };
  Stats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace har::probe
