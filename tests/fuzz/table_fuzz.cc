// The answer table over memory that may hold anything: it is refused, or read and rewritten without harm.
// Input: one octet chooses a well-made table, two say how many octets of it are missing at the end, the rest are
// patches: two octets of offset, one of length (0 to 8), the octets. With 255 first, the rest is the memory itself, but
// for the magic number and the version. Holds: nothing outside the memory is read or written (the sanitizer watches:
// the block has exactly that size); what is read is within its bounds; what an adopting writer writes is read back.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "base/assert.h"
#include "dns/name.h"
#include "input.h"
#include "table/layout.h"
#include "table/reader.h"
#include "table/writer.h"

namespace har::table {
namespace {

using Octets = std::span<const std::uint8_t>;

// Memory of exactly this size on a cache line.
class Memory {
 public:
  explicit Memory(std::size_t size) : size_(size), at_(::operator new (size, std::align_val_t{64})) {
    std::memset(at_, 0, size);
  }
  ~Memory() { ::operator delete (at_, std::align_val_t{64}); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::span<std::byte> bytes() const { return {static_cast<std::byte*>(at_), size_}; }

 private:
  std::size_t size_;
  void* at_;
};

FamilyAnswer answer_with(std::uint8_t count) {
  FamilyAnswer answer;
  answer.kind = Kind::kAddresses;
  answer.order = Order::kWeighted;
  answer.count = answer.group = answer.answer_count = count;
  for (std::uint8_t i = 0; i < count; ++i) {
    answer.addresses[i].fill(i);
    answer.weights[i] = i;
  }
  return answer;
}

Plan plan_number(unsigned number) {
  Plan plan;
  for (unsigned i = 0; i < number % 4; ++i) {
    plan.names.push_back({dns::name_to_wire(std::string(1 + i * 20, 'a') + ".example").value(), i == 1});
  }
  for (unsigned i = 0; i < number / 4 % 4; ++i) {
    IpPrefix prefix;
    prefix.ip.family = i % 2 == 0 ? Family::kV4 : Family::kV6;
    prefix.ip.bytes[0] = static_cast<std::uint8_t>(i * 16);
    prefix.length = static_cast<std::uint8_t>(4 + i);
    plan.allow_clients.push_back(prefix);
  }
  return plan;
}

void read_all(const Reader& reader) {
  const std::uint32_t slots = std::min(reader.slot_count(), 64u);
  for (std::uint32_t slot = 0; slot <= slots; ++slot) {
    for (const Family family : {Family::kV4, Family::kV6}) {
      Reader::View view;
      if (!reader.read(slot, family, view)) continue;
      HAR_ASSERT(view.answer.count <= kMaxAddresses && view.answer.group <= view.answer.count);
      HAR_ASSERT(view.answer.kind <= Kind::kServfail && view.answer.order <= Order::kWeighted);
      HAR_ASSERT(view.note <= Note::kNotReady);
    }
    reader.https_forward(slot);
    const auto name = reader.name(slot);
    std::uint32_t sum = 0;
    for (const std::uint8_t octet : name) sum += octet;  // every octet is there
    HAR_ASSERT(sum < 65'536);
    const std::uint32_t found = reader.find(name);
    HAR_ASSERT(found == kNoSlot || found < reader.slot_count());
    if (found != kNoSlot) HAR_ASSERT(dns::names_equal(reader.name(found), name));
  }
  for (const unsigned first : {0u, 17u, 33u, 127u, 255u}) {
    for (const Family family : {Family::kV4, Family::kV6}) {
      IpAddress client;
      client.family = family;
      client.bytes[0] = static_cast<std::uint8_t>(first);
      reader.allows(client);
    }
  }
  reader.upstreams_version();
  HAR_ASSERT(reader.upstreams().size() <= kMaxUpstreams);
  HAR_ASSERT(reader.last_beat() >= Instant{});
  HAR_ASSERT(reader.limits().state_max_age_ns <= INT64_MAX);
}

void write_and_read_back(std::span<std::byte> memory, const Reader& reader) {
  auto writer = Writer::adopt(memory);
  HAR_ASSERT(writer);
  for (std::uint32_t slot = 0; slot < std::min(reader.slot_count(), 16u); ++slot) {
    const auto count = static_cast<std::uint8_t>(slot % (kMaxAddresses + 1));
    SlotContent content;
    content.v4 = answer_with(count);
    content.ttl = slot;
    writer->write(slot, content);
    Reader::View view;
    HAR_ASSERT(reader.read(slot, Family::kV4, view));
    HAR_ASSERT(view.ttl == slot && view.answer.count == count && view.answer.weights[7] == (count == 8 ? 7 : 0));
  }
  std::vector<IpPort> upstreams(3);
  upstreams[2].port = 53;
  writer->set_upstreams(upstreams);
  HAR_ASSERT(reader.upstreams() == upstreams);
  writer->beat(Instant(Duration(5)));
  HAR_ASSERT(reader.last_beat() == Instant(Duration(5)));
}

void try_memory(std::span<std::byte> memory) {
  const auto reader = Reader::open(memory);
  HAR_ASSERT(reader.has_value() == Writer::adopt(memory).has_value());
  if (!reader) return;
  read_all(*reader);
  write_and_read_back(memory, *reader);
  read_all(*reader);
}

void try_raw(Octets octets) {
  const Memory memory(octets.size());
  std::memcpy(memory.bytes().data(), octets.data(), octets.size());
  if (octets.size() >= sizeof(Header)) {
    std::memcpy(memory.bytes().data() + offsetof(Header, magic), &kMagic, sizeof kMagic);
    std::memcpy(memory.bytes().data() + offsetof(Header, version), &kLayoutVersion, sizeof kLayoutVersion);
  }
  try_memory(memory.bytes());
}

void try_patched(unsigned number, Input input) {
  const Plan plan = plan_number(number);
  const std::size_t whole = Writer::bytes_needed(plan);
  const Memory table(whole);
  Writer writer = Writer::create(table.bytes(), plan);
  if (!plan.names.empty()) writer.write(0, {answer_with(8), answer_with(3), 60, Note::kFailureMode});
  const std::size_t cut = input.next_16();  // this many octets are missing at the end
  const Memory memory(whole - std::min(cut, whole));
  const auto bytes = memory.bytes();
  std::copy_n(table.bytes().begin(), bytes.size(), bytes.begin());
  while (!input.empty()) {
    const std::size_t offset = input.next_16();
    for (std::size_t left = input.next() % 9, at = offset; left > 0; --left, ++at) {
      const auto value = std::byte{input.next()};
      if (at < bytes.size()) bytes[at] = value;
    }
  }
  try_memory(bytes);
}

}  // namespace
}  // namespace har::table

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  har::Input input({data, size});
  const unsigned first = input.next();
  if (first == 255) {
    har::table::try_raw(input.rest());
  } else {
    har::table::try_patched(first, input);
  }
  return 0;
}
