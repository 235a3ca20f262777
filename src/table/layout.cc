#include "table/layout.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "dns/name.h"

namespace har::table {
namespace {

bool is_part(std::uint64_t offset, std::uint64_t size, std::uint64_t whole) {
  return offset >= kFixedSize && offset % kCacheLine == 0 && is_inside(offset, size, whole);
}

// A duration that fits a signed count of nanoseconds, so that nobody downstream has to wonder.
std::uint64_t clamped(std::uint64_t nanoseconds) {
  return std::min<std::uint64_t>(nanoseconds, std::numeric_limits<std::int64_t>::max() / 2);
}

}  // namespace

Result<Header> check_layout(std::span<const std::byte> memory) {
  if (memory.size() < kFixedSize) return failure("answer table: the memory is smaller than a header");
  if (reinterpret_cast<std::uintptr_t>(memory.data()) % kCacheLine != 0) {
    return failure("answer table: the memory does not begin on a cache line");
  }
  // Acquire: pairs with the writer's last store of create(), so that the rest of the header is seen whole.
  if (word_at(memory.data())->load(std::memory_order_acquire) != kMagic) {
    return failure("answer table: there is no table in this memory, or it was never finished");
  }
  auto header = load_plain<Header>(memory.data());
  if (header.version != kLayoutVersion) {
    return failure("answer table: layout version " + std::to_string(header.version) + " instead of " +
                   std::to_string(kLayoutVersion));
  }
  const std::uint64_t whole = header.total_size;
  const bool parts_fit = whole <= memory.size() && header.slot_count <= kMaxSlots &&
                         header.client_count <= kMaxClients && std::has_single_bit(header.index_size) &&
                         header.longest_probe <= header.index_size &&
                         is_part(header.clients_offset, header.client_count * sizeof(ClientRecord), whole) &&
                         is_part(header.index_offset, header.index_size * sizeof(std::uint64_t), whole) &&
                         is_part(header.slots_offset, std::uint64_t{header.slot_count} * kSlotSize, whole) &&
                         is_part(header.names_offset, header.names_size, whole);
  if (!parts_fit) return failure("answer table: a part does not lie inside the memory");

  const auto* names = reinterpret_cast<const std::uint8_t*>(memory.data() + header.names_offset);
  for (std::uint32_t slot = 0; slot < header.slot_count; ++slot) {
    const auto place = load_plain<SlotName>(memory.data() + header.slots_offset + slot * kSlotSize + kSlotNameOffset);
    if (!is_inside(place.offset, place.size, header.names_size) || place.size == 0 ||
        dns::wire_name_size({names + place.offset, place.size}) != place.size) {
      return failure("answer table: slot " + std::to_string(slot) + " has no proper name");
    }
  }
  header.limits.tcp_idle_timeout_ns = clamped(header.limits.tcp_idle_timeout_ns);
  header.limits.resolver_timeout_ns = clamped(header.limits.resolver_timeout_ns);
  header.limits.state_max_age_ns = clamped(header.limits.state_max_age_ns);
  return header;
}

}  // namespace har::table
