#include "upstream/places.h"

#include <algorithm>

namespace har::upstream {

std::optional<Place> Places::find(const IpPort& upstream) const {
  for (const Place place : order()) {
    if (addresses_[place] == upstream) return place;
  }
  return std::nullopt;
}

void Places::assign(std::span<const IpPort> upstreams) {
  std::array<const IpPort*, kMaxUpstreams> wanted{};
  std::array<std::optional<Place>, kMaxUpstreams> kept{};
  std::size_t count = 0;
  for (const IpPort& upstream : upstreams) {
    if (count == kMaxUpstreams) break;
    const auto end = wanted.begin() + static_cast<std::ptrdiff_t>(count);
    if (std::any_of(wanted.begin(), end, [&](const IpPort* other) { return *other == upstream; })) continue;
    wanted[count] = &upstream;
    kept[count] = find(upstream);
    ++count;
  }
  PlaceSet present = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (kept[i]) present |= only(*kept[i]);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!kept[i]) {
      // Neither one that stays nor one that leaves in this very moment: at most 16 + 16 are taken, and then the ones
      // that stay are counted twice, so there is always a free one.
      while (((present | present_) & only(next_)) != 0) next_ = static_cast<Place>((next_ + 1) % kMaxPlaces);
      kept[i] = next_;
      addresses_[next_] = *wanted[i];
      present |= only(next_);
      next_ = static_cast<Place>((next_ + 1) % kMaxPlaces);
    }
    order_[i] = *kept[i];
  }
  count_ = count;
  present_ = present;
}

}  // namespace har::upstream
