// The order of one name's endpoints: a pure function from what is known of them, the previous choice and the time.
// Says for each family which endpoints are answered, best first, and for every endpoint why it stands where it stands.
// Not for: wire or table form (content.h), counting (hysteresis.h), several names (directory.h).
// Source: SEMANTICS "Answering" 2 and 3, "Selecting", "Checking" (max_rtt).
// Thread: any; a Ranker owns only scratch memory.  Tested by: ranking_test.cc, ranking_oracle_test.cc, tests/replay/
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "config/config.h"
#include "health/observation.h"

namespace har::health {

inline constexpr std::uint32_t kNoPlace = 0xFFFFFFFF;

// Equals that are more than an answer of the table has room for take shifts: runs of at most eight, one after the
// other, each for as long as the weights of its endpoints say. How long one is on the average where so many names take
// shifts: each is a ranking and a slot, of which there shall be no more than some 5,000 a second.
inline constexpr Duration kShortestShift = std::chrono::milliseconds(100);
constexpr Duration shift_length(std::size_t names) {
  Duration length = kShortestShift;
  while (length < static_cast<Duration::rep>(names) * std::chrono::microseconds(200)) length *= 2;  // seldom another
  return length;
}

// What a ranking remembers of an endpoint for the next one.
struct Memory {
  bool chosen = false;             // stood first of its family
  std::uint32_t place = kNoPlace;  // in the order by RTT
  Instant better_since = kNever;   // better than the chosen one by the margins, without a break
  bool operator==(const Memory&) const = default;
};

// One endpoint as the ranking sees it. Contenders stand in the order of the file, addresses of one candidate sorted.
struct Contender {
  IpAddress address;
  std::uint32_t candidate = 0;  // its place in the file
  std::uint32_t same_as = 0;    // the first contender with this address; its own index where it is that one
  std::uint32_t tier = 0;
  std::uint32_t weight = 1;
  State state = State::kUnknown;
  bool drained = false;
  Duration rtt{};  // zero: not known
  std::uint32_t measurements = 0;
  std::uint64_t candidate_hash = 0, address_hash = 0;  // rendezvous values, for SelectionMethod::kHash
  std::optional<Instant> last_up, last_success;        // for the failure modes
  Memory memory;
};

enum class Why : std::uint8_t {
  kSmallestRtt,
  kKeepsPlace,  // first: by RTT; or because nothing was better by the margins for long enough
  kRtt,
  kFileOrder,
  kHash,         // behind the first, or first of its method
  kEqual,        // one of a group of equals: turns, lots or weights decide at each query
  kBehindGroup,  // usable, but slower than the group
  kFillsUp,      // of a farther tier: the nearer have fewer than min_available
  kLastSuccess,
  kLastUp,  // failure modes
  kDown,
  kDrained,
  kWaitsForObservation,
  kSlow,
  kFartherTier,
  kSameAddress,  // not answered
};

struct Place {
  std::uint32_t index = 0;  // into the contenders
  Why why = Why::kRtt;
  bool operator==(const Place&) const = default;
};

struct FamilyRanking {
  std::vector<Place> places;  // what may be answered, best first; may be more than an answer can carry
  std::uint32_t group = 0;    // the first `group` places are equals (kInTurn, kRandom, kWeighted), else 0
  std::uint32_t equals = 0;   // the first so many are; more than `group`: the others have another shift
  bool takes_shifts() const { return equals > group; }
};

struct Ranking {
  enum class Basis : std::uint8_t {
    kUp,         // endpoints that are up
    kUnknown,    // none is up; some have not been observed
    kFailure,    // none is usable: the failure mode; places only for kAll and kLast
    kNoAddress,  // no endpoint at all
  };
  Basis basis = Basis::kNoAddress;
  FamilyRanking v4, v6;
  std::uint32_t tier = 0;        // the nearest tier in use
  bool any_up = false;           // an endpoint that is not drained is up
  std::vector<Place> left_out;   // everything else, with the reason
  std::vector<Memory> memory;    // one a contender, for the next ranking
  Instant next_change = kNever;  // when time alone changes the choice (switch_dwell, shifts)

  FamilyRanking& family(Family f) { return f == Family::kV4 ? v4 : v6; }
  const FamilyRanking& family(Family f) const { return f == Family::kV4 ? v4 : v6; }
};

class Ranker {
 public:
  // `out` is overwritten; its memory is used again, so that ranking in a loop does not allocate. Ranking twice with the
  // memory of the first and the same `now` gives the same order.
  void rank(const config::Name& name, std::span<const Contender> contenders, Instant now, Ranking& out);
  void set_shift(Duration length) { shift_ = length; }

 private:
  void find_usable(Ranking& out);
  void order_by_method();
  void order_by_rtt(std::span<std::uint32_t> tier);
  void choose_tiers(Ranking& out);
  void arrange(FamilyRanking& family, Ranking& out);
  std::uint32_t keep_or_switch(std::span<const Place> run, Ranking& out);
  std::size_t group_by_rtt(FamilyRanking& family, std::size_t run);
  void take_shifts(FamilyRanking& family, std::size_t equals, Ranking& out);
  double load_of(std::span<const Place> shift) const;
  void fail(Ranking& out);
  bool bound(const Contender& a, const Contender& b) const;
  bool better_by_margin(const Contender& challenger, const Contender& holder) const;
  bool displaces(const Contender& challenger, const Contender& holder) const;

  // The arguments of the call in progress.
  const config::Name* name_ = nullptr;
  std::span<const Contender> contenders_;
  Instant now_{};
  bool remember_ = true;  // endpoints keep places from the last ranking
  Duration shift_ = kShortestShift;
  // Scratch, one a contender.
  std::vector<std::uint32_t> order_, by_place_, by_rtt_;
  std::vector<char> barred_, taken_;
};

std::string_view word(Why why);
std::string_view word(config::SelectionMethod method);
std::string_view word(config::FailureMode mode);

}  // namespace har::health
