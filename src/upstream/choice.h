// What is known of the upstreams over one transport: how fast each is, which are dead, which to ask first, and how long
// to wait for it before the next is asked as well. UDP and TCP have a Choice each: their health is apart.
// Source: SEMANTICS "Forwarding"; RFC 6298 section 2 (the two averages).
//
// Speed: srtt and rttvar with the weights of RFC 6298, fed by every reply, also by late ones and by those of the
//   upstream that was asked as the second and lost. One that has not been measured for 10 s is named by explore() once:
//   the caller asks it beside the first, at no cost to the client, so that an upstream that became faster is noticed.
// Death: three asked in a row, each without a reply for the length of a try (or refused), and nothing at all heard for
//   1 s. Then the caller asks it `. NS` every second (probe_due()); any reply of it makes it alive again. A handshake
//   alone (heard()) keeps the living from death but wakes nobody: it is the kernel's, and says nothing of the speed.
// Thread: one owner.  Tested by: choice_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/time.h"
#include "upstream/places.h"

namespace har::upstream {

inline constexpr Duration kMinPatience = std::chrono::milliseconds(20);
inline constexpr Duration kMaxPatience = std::chrono::milliseconds(300);
inline constexpr Duration kFirstPatience = std::chrono::milliseconds(100);  // nothing is known of it yet
inline constexpr Duration kDeathSilence = std::chrono::seconds(1);
inline constexpr Duration kProbeInterval = std::chrono::seconds(1);
inline constexpr Duration kExploreInterval = std::chrono::seconds(10);
inline constexpr std::uint8_t kDeathCount = 3;

class Choice {
 public:
  // The set, in the order of preference. Those that stay keep RTT and health; new ones are alive and unmeasured.
  void set(std::span<const Place> order, Instant now);
  // Not to be used any more while this set lasts: it leads back to us.
  void exclude(Place place);

  // What happened. Places outside the set are ignored. Exchange calls these for its own queries.
  void sent(Place place, Duration try_timeout, Instant now);
  void answered(Place place, Duration rtt, Instant now);  // whatever the rcode: it lives
  void refused(Place place, Instant sent_at, Duration try_timeout, Instant now);
  void heard(Place place);  // something came that is no reply, such as a completed handshake: it is not silent

  PlaceSet all() const { return all_; }  // the set without the excluded
  PlaceSet alive(Instant now);           // of all(); none: all are dead, and all are asked
  Place best_of(PlaceSet among) const;   // the fastest; unmeasured ones behind, in the set's order. Requires: not empty
  Duration patience(Place place) const;  // srtt + 4 rttvar within its limits
  std::optional<Duration> srtt(Place place) const;
  // A place that nothing was heard of for kExploreInterval; named once in each interval, and at most one.
  std::optional<Place> explore(Instant now);

  // The owner's housekeeping: call both until they give nothing whenever wake() has come, and after each event.
  struct Change {
    Place place;
    bool alive;
  };
  std::optional<Change> next_change(Instant now);  // each change of health once
  std::optional<Place> probe_due(Instant now);     // ask it `. NS` now; counts as done
  Instant wake() const;                            // kNever: nothing to do before the next event

 private:
  struct State {
    Duration srtt{};
    Duration rttvar{};
    bool measured = false;
    std::uint8_t unanswered = 0;  // how many of `due` hold
    // Since the last reply: when the first was sent, and when each of the first three counts as unanswered.
    Instant first_sent{};
    std::array<Instant, kDeathCount> due{};
    Instant dies_at = kNever;
    Instant explore_at = kNever;
    Instant probe_at = kNever;  // dead: the next `. NS`
  };
  void reckon_death(Place place);
  void bury_the_dead(Instant now);

  std::array<State, kMaxPlaces> states_{};
  std::array<Place, kMaxUpstreams> order_{};
  std::size_t count_ = 0;
  PlaceSet present_ = 0;
  PlaceSet all_ = 0;
  PlaceSet dead_ = 0;
  PlaceSet told_dead_ = 0;         // what next_change() has said
  Instant next_death_ = kNever;    // no later than the earliest dies_at: saves the walk on the query path
  Instant next_explore_ = kNever;  // the same for explore_at
};

}  // namespace har::upstream
