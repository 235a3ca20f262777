// "Is it me?": whether this host has lost its network, so that the silence of others says nothing of them. Two signs:
//
//   no route  there is no usable way to any endpoint or upstream (what the owner found out); ends when there is one
//   silence   since the last sign of life more than half of the remote checks failed silently, of probes that began
//             after it: at least 4 endpoints in at least 2 networks (/24, /48); and everybody was asked for a sign of
//             life, upstreams too, and had time to give one; ends with the next sign of life
//
// A sign of life is anything that came from outside: a SYN-ACK, RST, TLS or HTTP octet, an upstream's reply. Endpoints
// on loopback or on an address of this host are no evidence either way. Pure; not used before set_routes().
// Source: SEMANTICS "Checking".  Thread: the control thread.  Tested by: isolation_test.cc, tests/replay/isolation.scn
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "config/config.h"
#include "health/observation.h"

namespace har::health {

// Nothing came back from the endpoint: no outcome but "timeout" and "unreachable" in their several forms.
bool is_silent(const Observation& observation);

class Isolation {
 public:
  using Check = std::uint32_t;  // CheckId
  static constexpr std::size_t kLeastEndpoints = 4;
  static constexpr std::size_t kLeastNetworks = 2;

  static constexpr Duration kHearing = std::chrono::milliseconds(300);

  enum class Sign : std::uint8_t { kNone, kNoRoute, kSilence };
  struct Endpoint {
    IpAddress ip;
    std::uint16_t port = 0;
    config::CheckMethod method{};
    auto operator<=>(const Endpoint&) const = default;
  };

  // `own`: the addresses of this host.
  void set_routes(bool usable, std::vector<IpAddress> own, Instant now);
  bool in_use() const { return in_use_; }
  bool is_remote(const IpAddress& ip) const;

  // A silent failure of a remote check, `checked` of which there are. False: its probe began before the last sign of
  // life, so it is that endpoint's own.
  bool silent(Check check, const Endpoint& endpoint, Instant started, std::size_t checked, Instant now);
  // Everybody is being asked for a sign of life. False: they are already, since the last one.
  bool ask(Instant now);
  // Whether the silence has become a sign; silent() looks as well.
  bool judge(std::size_t checked, Instant now);
  // A sign of life that came at `at`, of something asked at `started`. Returns the checks whose silence is their own.
  std::vector<Check> heard(Instant started, Instant at, Instant now);
  // The host's network is another one from now on: the silence of what was asked before says nothing.
  void begin_anew(Instant now);

  bool is_lost() const { return sign_ != Sign::kNone; }
  Sign sign() const { return sign_; }
  Instant lost_at() const { return lost_at_; }
  Instant begun() const { return begun_; }  // silence of probes that started before is nobody's
  std::size_t silent_endpoints() const { return endpoints_.size(); }
  std::size_t silent_networks() const { return networks_.size(); }

 private:
  void lose(Sign sign, Instant now);
  void leave(Instant now);

  bool in_use_ = false;
  std::vector<IpAddress> own_;  // sorted
  Sign sign_ = Sign::kNone;
  Instant lost_at_{}, no_route_at_{};
  Instant begun_ = Instant::min();
  Instant heard_ = Instant::min();  // the last sign of life
  Instant asked_ = kNever;          // when everybody was asked for the next one
  // The silent since then, by the start of the first of their probes that failed.
  std::map<std::pair<Instant, Check>, Endpoint> silent_;
  std::set<Check> checks_;
  std::map<Endpoint, std::size_t> endpoints_;  // of silent_, and how often each
  std::map<IpPrefix, std::size_t> networks_;
};

// The network that an address counts for: its /24 or /48.
IpPrefix network_of(const IpAddress& ip);

}  // namespace har::health
