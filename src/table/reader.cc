#include "table/reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "base/assert.h"
#include "dns/name.h"
#include "table/slot.h"

namespace har::table {
namespace {

// A try loses only to two publications of the same slot during some 50 ns. Even a writer that does nothing else does
// not win this often; and 256 tries are over in some 20 microseconds.
constexpr int kTries = 256;

bool contains(const ClientRecord& record, const IpAddress& client) {
  IpPrefix prefix;
  prefix.ip.family = client.family;
  std::memcpy(prefix.ip.bytes.data(), record.ip, sizeof record.ip);
  prefix.length = record.length;
  return record.family == static_cast<std::uint8_t>(client.family) && record.length <= client.size() * 8 &&
         prefix.contains(client);
}

// True when the record's prefix begins at or before the client, in the order in which the records are sorted.
bool begins_before(const ClientRecord& record, const IpAddress& client) {
  const auto family = static_cast<std::uint8_t>(client.family);
  if (record.family != family) return record.family < family;
  return std::memcmp(record.ip, client.bytes.data(), sizeof record.ip) <= 0;
}

}  // namespace

Result<Reader> Reader::open(std::span<const std::byte> memory) {
  auto header = check_layout(memory);
  if (!header) return failure(std::move(header.error().message));
  return Reader(memory.data(), *header);
}

std::uint32_t Reader::find(std::span<const std::uint8_t> wire) const {
  if (wire.empty() || wire.size() > 255 || header_.slot_count == 0) return kNoSlot;
  Search search = begin(wire);
  for (std::uint32_t slot = next(search); slot != kNoSlot; slot = next(search)) {
    // With very many names each of these lines comes from memory: the second while the first is waited for.
    __builtin_prefetch(slot_at(slot) + kCacheLine);
    if (dns::names_equal(name(slot), wire)) return slot;
  }
  return kNoSlot;
}

void Reader::prefetch(std::span<const std::span<const std::uint8_t>> names, std::span<std::uint32_t> probable) const {
  HAR_ASSERT(names.size() <= kMostAhead && probable.size() >= names.size());
  std::fill_n(probable.begin(), names.size(), kNoSlot);
  if (header_.slot_count == 0) return;
  std::array<Search, kMostAhead> searches;
  for (std::size_t i = 0; i < names.size(); ++i) {
    searches[i] = begin(names[i]);
    __builtin_prefetch(index_place(searches[i]));
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    probable[i] = next(searches[i]);
    if (probable[i] == kNoSlot) continue;
    __builtin_prefetch(slot_at(probable[i]));
    __builtin_prefetch(slot_at(probable[i]) + kCacheLine);
  }
  for (std::size_t i = 0; i < names.size(); ++i) __builtin_prefetch(name(probable[i]).data());
}

Reader::Search Reader::begin(std::span<const std::uint8_t> wire) const {
  return {.hash = dns::name_hash(wire, header_.hash_seed)};
}

const std::byte* Reader::index_place(const Search& search) const {
  const std::uint64_t place = (search.hash + search.probe) & (header_.index_size - 1);
  return base_ + header_.index_offset + place * sizeof(std::uint64_t);
}

std::uint32_t Reader::next(Search& search) const {
  constexpr std::uint64_t kTag = 0xFFFFFFFF00000000;
  for (; search.probe <= header_.longest_probe; ++search.probe) {
    const auto entry = load_plain<std::uint64_t>(index_place(search));
    if (entry == 0) return kNoSlot;
    // For a name that is not configured the tag nearly always says so: one cache line, no name is looked at.
    const std::uint32_t slot = static_cast<std::uint32_t>(entry) - 1;
    if ((entry & kTag) != (search.hash & kTag) || slot >= header_.slot_count) continue;
    ++search.probe;
    return slot;
  }
  return kNoSlot;
}

std::uint32_t Reader::slot_count() const { return header_.slot_count; }

bool Reader::read(std::uint32_t slot, Family family, View& out) const {
  if (slot >= header_.slot_count) return false;
  return read_block(slot_block(slot_at(slot)), kTries, [&](auto get) {
    const std::uint64_t ttl_word = get(kTtlWord);
    out.ttl = static_cast<std::uint32_t>(ttl_word);
    out.note = decode_note(ttl_word);
    decode_family(family, out.answer, get);
  });
}

bool Reader::https_forward(std::uint32_t slot) const {
  if (slot >= header_.slot_count) return false;
  return (load_plain<SlotName>(slot_at(slot) + kSlotNameOffset).flags & kFlagHttpsForward) != 0;
}

std::span<const std::uint8_t> Reader::name(std::uint32_t slot) const {
  if (slot >= header_.slot_count) return {};
  const auto place = load_plain<SlotName>(slot_at(slot) + kSlotNameOffset);
  // Looked at in open() too; but the memory is not ours alone, and this costs nothing beside the cache miss.
  if (!is_inside(place.offset, place.size, header_.names_size)) return {};
  return {reinterpret_cast<const std::uint8_t*>(base_ + header_.names_offset) + place.offset, place.size};
}

bool Reader::allows(const IpAddress& client) const {
  const std::byte* const records = base_ + header_.clients_offset;
  const auto record = [&](std::uint32_t i) { return load_plain<ClientRecord>(records + i * sizeof(ClientRecord)); };
  std::uint32_t low = 0;
  std::uint32_t high = header_.client_count;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (begins_before(record(middle), client)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low > 0 && contains(record(low - 1), client)) return true;
  // A socket bound to :: sees IPv4 clients in this form (RFC 4291 2.5.5.2).
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (client.family == Family::kV6 && std::equal(kMapped.begin(), kMapped.end(), client.bytes.begin())) {
    return allows(IpAddress::v4(client.bytes.data() + kMapped.size()));
  }
  return false;
}

bool Reader::allows_own() const { return (header_.flags & kFlagOwnClients) != 0; }

const Limits& Reader::limits() const { return header_.limits; }

std::uint64_t Reader::generation() const { return header_.generation; }

std::uint32_t Reader::upstreams_version() const {
  return static_cast<std::uint32_t>(upstreams_block(base_).sequence->load(std::memory_order_relaxed));
}

std::vector<IpPort> Reader::upstreams() const {
  std::vector<IpPort> out;
  const bool whole = read_block(upstreams_block(base_), kTries, [&](auto get) {
    out.clear();
    const std::uint64_t count = std::min<std::uint64_t>(get(0), kMaxUpstreams);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t head = get(1 + 3 * i);
      const std::array<std::uint64_t, 2> ip{get(2 + 3 * i), get(3 + 3 * i)};
      IpPort& entry = out.emplace_back();
      entry.ip.family = (head & 0xFF) == static_cast<std::uint64_t>(Family::kV6) ? Family::kV6 : Family::kV4;
      std::memcpy(entry.ip.bytes.data(), ip.data(), entry.ip.size());
      entry.port = static_cast<std::uint16_t>(head >> 16);
      entry.scope = static_cast<std::uint32_t>(head >> 32);
    }
  });
  if (!whole) out.clear();  // the version has changed again: the caller looks once more soon
  return out;
}

Instant Reader::last_beat() const {
  const std::uint64_t beat = word_at(base_ + kBeatOffset)->load(std::memory_order_relaxed);
  if (beat == 0 || beat > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return kNever;
  return Instant(Duration(static_cast<std::int64_t>(beat)));
}

bool Reader::network_lost() const { return word_at(base_ + kNetworkOffset)->load(std::memory_order_relaxed) != 0; }

}  // namespace har::table
