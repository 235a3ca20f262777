// Resolves candidates' hosts through the upstreams directly, never through the C library: A and AAAA, followed by TTL.
// Source: SEMANTICS "Checking", first paragraph.  Thread: the control thread.  Tested by: resolver_test.cc,
// host_record_test.cc
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/log.h"
#include "base/time.h"
#include "net/loop.h"

namespace har::probe {

struct ResolverStats {
  std::uint64_t successes = 0, timeouts = 0, errors = 0;
};

class Resolver {
 public:
  // A good answer, or withdrawal (empty: NXDOMAIN or NODATA of both families twice, 60 s or more apart).
  using Resolved = std::function<void(const std::string& host, const std::vector<IpAddress>& addresses)>;
  // An attempt that left things as they were (SERVFAIL, silence, a first NXDOMAIN).
  using Failed = std::function<void(const std::string& host, std::string_view why)>;

  Resolver(net::Loop& loop, const Log& log, Resolved resolved, Failed failed);
  ~Resolver();

  void set_upstreams(std::vector<IpPort> upstreams, Duration resolver_timeout);  // asks all that failed again at once
  // The network is another: what is known of the upstreams is forgotten, and all hosts are asked again.
  void begin_anew();
  void ask_upstreams();  // each whether it lives, and no more
  // A reply of an upstream to what was asked then, whatever it says. Set before the first question.
  std::function<void(const IpAddress& upstream, Instant asked)>& heard();
  struct Host {
    std::string host;
    Duration frequency;
  };
  // New ones are asked at once; what stays keeps its timers, but for those that a shorter frequency makes earlier.
  void set_hosts(std::vector<Host> hosts);
  // After set_hosts(): addresses of a host from an earlier life. A family keeps them until its first good answer, or
  // until a second negative one.
  void remember(const std::string& host, const std::vector<IpAddress>& addresses);
  ResolverStats stats(const std::string& host) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace har::probe
