// Gives each upstream of a set a small number, its place, that stays the same while the upstream stays in the set:
// so that RTT and health can be kept over a change of the set, and a query in flight can name upstreams in one octet.
// Thread: one owner.  Tested by: places_test.cc
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ip.h"

namespace har::upstream {

inline constexpr std::size_t kMaxUpstreams = 16;  // of one set; what comes after the 16th is not used
// Twice as many places as upstreams: a whole new set finds room beside the old one, so that the place of an upstream
// that left is not given to another while queries to the old one are still in flight.
inline constexpr std::size_t kMaxPlaces = 32;

using Place = std::uint8_t;
using PlaceSet = std::uint32_t;  // one bit a place
static_assert(kMaxPlaces <= 8 * sizeof(PlaceSet));

constexpr PlaceSet only(Place place) { return PlaceSet{1} << place; }

class Places {
 public:
  // Takes a new set in the order of preference; duplicates and those beyond kMaxUpstreams are left out.
  void assign(std::span<const IpPort> upstreams);

  std::span<const Place> order() const { return {order_.data(), count_}; }
  const IpPort& at(Place place) const { return addresses_[place]; }  // also of one that has left, until reuse
  std::optional<Place> find(const IpPort& upstream) const;           // among the present ones
  PlaceSet present() const { return present_; }

 private:
  std::array<IpPort, kMaxPlaces> addresses_{};
  std::array<Place, kMaxUpstreams> order_{};
  std::size_t count_ = 0;
  PlaceSet present_ = 0;
  Place next_ = 0;  // places are given in turn: the one that left longest ago first
};

}  // namespace har::upstream
