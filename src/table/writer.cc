#include "table/writer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "dns/name.h"
#include "table/layout.h"
#include "table/slot.h"

namespace har::table {
namespace {

// Where the parts of a table for this plan stand; the rest of the header is not set.
Header place_parts(const Plan& plan) {
  HAR_ASSERT(plan.names.size() <= kMaxSlots && plan.allow_clients.size() <= kMaxClients);
  Header header;
  header.slot_count = static_cast<std::uint32_t>(plan.names.size());
  header.client_count = static_cast<std::uint32_t>(plan.allow_clients.size());
  header.index_size = std::bit_ceil(std::max<std::uint32_t>(header.slot_count * 2, 8));
  for (const auto& entry : plan.names) header.names_size += entry.name.size();

  header.clients_offset = kFixedSize;
  header.index_offset = header.clients_offset + whole_lines(header.client_count * sizeof(ClientRecord));
  header.slots_offset = header.index_offset + whole_lines(header.index_size * sizeof(std::uint64_t));
  header.names_offset = header.slots_offset + header.slot_count * kSlotSize;
  header.total_size = header.names_offset + whole_lines(header.names_size);
  return header;
}

void clear_host_bits(IpPrefix& prefix) {
  const unsigned whole = static_cast<unsigned>(prefix.ip.size()) * 8;
  HAR_ASSERT(prefix.length <= whole);
  for (unsigned bit = prefix.length; bit < whole; ++bit) {
    prefix.ip.bytes[bit / 8] = static_cast<std::uint8_t>(prefix.ip.bytes[bit / 8] & ~(0x80u >> (bit % 8)));
  }
}

// Sorted, and without those inside another: what is left is disjoint, so that a search needs to look at one.
std::uint32_t write_clients(std::byte* out, std::vector<IpPrefix> prefixes) {
  std::for_each(prefixes.begin(), prefixes.end(), clear_host_bits);
  std::sort(prefixes.begin(), prefixes.end());  // by family, address, then length: the wider of two comes first
  std::uint32_t count = 0;
  const IpPrefix* last = nullptr;
  for (const IpPrefix& prefix : prefixes) {
    if (last != nullptr && last->contains(prefix.ip)) continue;
    last = &prefix;
    ClientRecord record{};
    std::memcpy(record.ip, prefix.ip.bytes.data(), sizeof record.ip);
    record.family = static_cast<std::uint8_t>(prefix.ip.family);
    record.length = prefix.length;
    std::memcpy(out + count++ * sizeof record, &record, sizeof record);
  }
  return count;
}

// Fills the index with this seed; the longest distance of a name from where its hash points.
std::uint32_t fill_index(std::vector<std::uint64_t>& index, const Plan& plan, std::uint64_t seed) {
  std::fill(index.begin(), index.end(), 0);
  const std::uint64_t mask = index.size() - 1;
  std::uint32_t longest = 0;
  for (std::uint32_t slot = 0; slot < plan.names.size(); ++slot) {
    const std::uint64_t hash = dns::name_hash(plan.names[slot].name, seed);
    std::uint32_t probe = 0;
    while (index[(hash + probe) & mask] != 0) ++probe;  // ends: at most half of the places are taken
    index[(hash + probe) & mask] = (hash & 0xFFFFFFFF00000000) | (slot + 1);
    longest = std::max(longest, probe);
  }
  return longest;
}

// The seed decides how the names crowd; a bad draw is drawn again. Clients cannot attack it: a lookup walks only past
// configured names.
void write_index(std::byte* out, const Plan& plan, Header& header) {
  constexpr std::uint32_t kGoodProbe = 24;
  std::vector<std::uint64_t> index(header.index_size);
  for (std::uint64_t draw = 1; draw <= 8; ++draw) {
    header.hash_seed = (plan.generation + draw) * 0x9E3779B97F4A7C15;
    header.longest_probe = fill_index(index, plan, header.hash_seed);
    if (header.longest_probe <= kGoodProbe) break;
  }
  std::memcpy(out, index.data(), index.size() * sizeof index[0]);
}

}  // namespace

std::size_t Writer::bytes_needed(const Plan& plan) { return place_parts(plan).total_size; }

Writer Writer::create(std::span<std::byte> memory, const Plan& plan) {
  Header header = place_parts(plan);
  HAR_ASSERT(memory.size() >= header.total_size);
  HAR_ASSERT(reinterpret_cast<std::uintptr_t>(memory.data()) % kCacheLine == 0);
  std::byte* const base = memory.data();
  header.version = kLayoutVersion;
  header.generation = plan.generation;
  header.flags = plan.own_clients ? kFlagOwnClients : 0;
  header.limits = plan.limits;
  header.client_count = write_clients(base + header.clients_offset, plan.allow_clients);
  write_index(base + header.index_offset, plan, header);

  Writer writer(memory.first(header.total_size), header.slots_offset, header.slot_count);
  std::uint32_t name_offset = 0;
  for (std::uint32_t i = 0; i < header.slot_count; ++i) {
    const auto& entry = plan.names[i];
    HAR_ASSERT(!entry.name.empty() && dns::wire_name_size(entry.name) == entry.name.size());
    std::memcpy(base + header.names_offset + name_offset, entry.name.data(), entry.name.size());
    const SlotName place{name_offset, static_cast<std::uint16_t>(entry.name.size()),
                         entry.https_forward ? kFlagHttpsForward : std::uint16_t{0}};
    std::memcpy(base + header.slots_offset + i * kSlotSize + kSlotNameOffset, &place, sizeof place);
    name_offset += static_cast<std::uint32_t>(entry.name.size());
    writer.write(i, SlotContent{});
  }

  // All of the header but the magic number, and then that: a table that was not finished is none.
  std::memcpy(base + sizeof header.magic, reinterpret_cast<const std::byte*>(&header) + sizeof header.magic,
              sizeof header - sizeof header.magic);
  word_at(base)->store(kMagic, std::memory_order_release);
  return writer;
}

Result<Writer> Writer::adopt(std::span<std::byte> memory) {
  const auto header = check_layout(memory);
  if (!header) return failure(header.error().message);
  // Nothing to repair: what the dead writer left half done stands in versions that are not published (block.h).
  return Writer(memory.first(header->total_size), header->slots_offset, header->slot_count);
}

void Writer::write(std::uint32_t slot, const SlotContent& content) {
  HAR_ASSERT(slot < slot_count_);
  HAR_ASSERT(content.v4.count <= kMaxAddresses && content.v4.group <= content.v4.count);
  HAR_ASSERT(content.v6.count <= kMaxAddresses && content.v6.group <= content.v6.count);
  publish(slot_block(memory_.data() + slots_offset_ + slot * kSlotSize), [&](auto put) { encode_slot(content, put); });
}

void Writer::set_upstreams(std::span<const IpPort> upstreams) {
  upstreams = upstreams.first(std::min(upstreams.size(), kMaxUpstreams));
  const auto block = upstreams_block(memory_.data());
  bool same = true;
  const std::size_t current = block.sequence->load(std::memory_order_relaxed) & 1;
  encode_upstreams(upstreams, [&](std::size_t i, std::uint64_t value) {
    same = same && block.word(current, i).load(std::memory_order_relaxed) == value;
  });
  if (same) return;
  publish(block, [&](auto put) { encode_upstreams(upstreams, put); });
}

void Writer::renew_upstreams() {
  const auto block = upstreams_block(memory_.data());
  const std::size_t current = block.sequence->load(std::memory_order_relaxed) & 1;
  publish(block, [&](auto put) {
    for (std::size_t i = 0; i < kUpstreamWords; ++i) put(i, block.word(current, i).load(std::memory_order_relaxed));
  });
}

void Writer::set_network_lost(bool lost) {
  // Relaxed: a lone word, nothing is read through it.
  word_at(memory_.data() + kNetworkOffset)->store(lost ? 1 : 0, std::memory_order_relaxed);
}

void Writer::beat(Instant now) {
  const auto nanoseconds = std::max<std::int64_t>(now.time_since_epoch().count(), 1);  // 0 would mean: never
  // Relaxed: a lone sign of life, nothing is read through it.
  word_at(memory_.data() + kBeatOffset)->store(static_cast<std::uint64_t>(nanoseconds), std::memory_order_relaxed);
}

}  // namespace har::table
