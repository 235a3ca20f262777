// The upstreams of a scenario: what each does with a query, and upstream::Exchange run against them in virtual time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "packets.h"
#include "upstream/choice.h"
#include "upstream/exchange.h"
#include "upstream/places.h"

namespace har::replay {

struct Behaviour {
  enum class Kind { kAnswers, kSilent, kRefuses, kRcode };
  Kind kind = Kind::kAnswers;
  unsigned rcode = 0;  // kRcode; 0 there: NODATA
  Duration after = std::chrono::milliseconds(10);
};

class Upstreams {
 public:
  void set(const std::vector<IpAddress>& addresses, Instant now);
  void behave(const IpAddress& address, const Behaviour& behaviour);
  bool empty() const { return behaviours_.empty(); }

  struct Outcome {
    Packet reply;  // empty: none came
    IpAddress from;
    Duration took{};
    unsigned asked = 0;  // sendings
  };
  // Runs one exchange to its end.
  Outcome ask(const Packet& query, upstream::Limits limits, Instant now);

 private:
  upstream::Places places_;
  upstream::Choice choice_;
  std::map<IpAddress, Behaviour> behaviours_;
};

}  // namespace har::replay
