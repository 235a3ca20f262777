// What is known of one host's addresses, and when to ask again: the rules of following DNS, without sockets or clock.
//
// A round asks A and AAAA (or only the one that failed last time); each family's ending is reported, and out comes what
// is to be told: new addresses, a withdrawal, or that things stay as they were.
//     good                       replaces the family's addresses; asked again after its TTL, between 1 s and 15 times
//                                the check frequency
//     NODATA, NXDOMAIN           a family without addresses stays so; one that has some loses them by the second such
//                                answer, 60 s or more after the first one, and is asked in time for it; a good answer
//                                of its own begins anew
//                                with the other family failing, now or when it was last asked: nothing changes
//     SERVFAIL, silence, …       keeps the family's last addresses; asked again after 1 s, doubling to 30 s
// A good family waits kCompany for the other, so that one answer tells of both; then it is told alone, and the other
// family keeps its last addresses.
//
// Source: SEMANTICS "Checking".  Thread: the control thread.  Tested by: host_record_test.cc,
// tests/fuzz/host_fuzz.cc
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "dns/addresses.h"

namespace har::probe {

// How a question ended.
struct DnsEnding {
  enum class Kind : std::uint8_t { kAnswer, kSilent, kBad };
  Kind kind = Kind::kSilent;
  dns::Addresses answer{};  // kAnswer; its status kFailed counts as kBad
  std::string_view why{};   // kBad: static text, "SERVFAIL", ...
};

// What is to be told after an event.
struct HostNews {
  enum class What : std::uint8_t { kNothing, kAddresses, kFailed };
  What what = What::kNothing;
  std::vector<IpAddress> addresses{};  // kAddresses; empty: withdrawn
  std::string_view why{};              // kFailed: static text
  bool silent = false;                 // kFailed: for want of an answer
};

class HostRecord {
 public:
  static constexpr std::size_t kMostAddresses = 64;
  static constexpr Duration kCompany = std::chrono::milliseconds(300);

  HostRecord(Duration frequency, Instant now);  // to be asked at once
  // What was to be asked later than the new frequency allows is asked earlier. `random`: as in ended().
  void set_frequency(Duration frequency, Instant now, double random);
  // Addresses from an earlier life: what a family keeps until its first answer.
  void remember(const std::vector<IpAddress>& addresses);

  // When take_due() or look() has something; kNever while an answer is awaited.
  Instant next_event() const;
  struct Due {
    bool v4 = false, v6 = false;
  };
  Due take_due(Instant now);   // begins a round; ended() is called once for each family that is set
  HostNews look(Instant now);  // the wait for the other family may be over
  // `random`: from 0 to 1; shortens the time to the next question by up to a tenth, so that hosts do not fall in step.
  HostNews ended(Family family, const DnsEnding& ending, Instant now, double random);
  void ask_again_if_failed(Instant now);  // the upstreams are others
  void ask_again(Instant now);            // the network is another

 private:
  enum class Known : std::uint8_t { kNothing, kGood, kNoData, kNxDomain };
  struct Side {
    std::vector<IpAddress> addresses;  // of the last good answer that was told; what is kept when the next one fails
    std::vector<IpAddress> fresh;      // of a good answer that is not told yet
    Known known = Known::kNothing;     // by the last answer
    MaybeInstant first_negative;       // since the last good one
    bool is_gone = false;              // another one confirmed it
    bool asking = false;
    bool answered = false;      // in this round: an answer, good or negative, came
    bool failed = false;        // in this round
    std::uint8_t failures = 0;  // in a row
    bool silent = false;
    Instant next{};
    std::string_view why;
  };
  bool is_negative(const Side& side) const { return side.known == Known::kNoData || side.known == Known::kNxDomain; }
  Duration until_next(Duration ttl, double random) const;
  HostNews judge(Instant now);
  void ask_in_time(Side& side) const;
  HostNews tell();
  HostNews failed(std::string_view why, bool silent) const;

  Duration frequency_;
  std::array<Side, 2> sides_;  // IPv4, IPv6
  Instant company_until_ = kNever;
  bool told_alone_ = false;     // in this round, before the other family ended
  bool withdrawn_ = false;      // told last: no addresses
  std::uint8_t negatives_ = 0;  // rounds in a row in which both families were
};

}  // namespace har::probe
