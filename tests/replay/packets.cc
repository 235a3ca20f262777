#include "packets.h"

#include <map>

#include "text.h"

namespace har::replay {
namespace {

void put16(Packet& packet, unsigned value) {
  packet.push_back(static_cast<std::uint8_t>(value >> 8));
  packet.push_back(static_cast<std::uint8_t>(value));
}
void put32(Packet& packet, std::uint32_t value) {
  put16(packet, value >> 16);
  put16(packet, value & 0xFFFF);
}

class Cursor {
 public:
  explicit Cursor(std::span<const std::uint8_t> packet) : packet_(packet) {}
  unsigned u8() {
    if (at_ >= packet_.size()) throw Mismatch("the reply ends too early");
    return packet_[at_++];
  }
  unsigned u16() {
    const unsigned high = u8();
    return high << 8 | u8();
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  void skip(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) u8();
  }
  void skip_name() {
    for (;;) {
      const unsigned length = u8();
      if (length == 0) return;
      if (length >= 0xC0) {
        u8();
        return;
      }
      skip(length);
    }
  }
  std::size_t at() const { return at_; }

 private:
  std::span<const std::uint8_t> packet_;
  std::size_t at_ = 0;
};

void read_opt(Cursor& cursor, std::size_t size, ReplyText& reply) {
  const std::size_t end = cursor.at() + size;
  while (cursor.at() < end) {
    const unsigned code = cursor.u16();
    const unsigned length = cursor.u16();
    const std::size_t next = cursor.at() + length;
    if (code == 15) {
      reply.ede = cursor.u16();
      while (cursor.at() < next) reply.ede_text += static_cast<char>(cursor.u8());
    }
    while (cursor.at() < next) cursor.u8();
  }
}

void read_record(Cursor& cursor, ReplyText& reply) {
  cursor.skip_name();
  const unsigned type = cursor.u16();
  cursor.u16();
  const std::uint32_t ttl = cursor.u32();
  const unsigned size = cursor.u16();
  if (type == 41) {
    reply.edns = true;
    return read_opt(cursor, size, reply);
  }
  if ((type == 1 && size == 4) || (type == 28 && size == 16)) {
    IpAddress address;
    address.family = type == 1 ? Family::kV4 : Family::kV6;
    for (unsigned i = 0; i < size; ++i) address.bytes[i] = static_cast<std::uint8_t>(cursor.u8());
    reply.addresses.push_back(address);
    if (!reply.ttl) reply.ttl = ttl;
    return;
  }
  if (type == 6) {
    reply.soa = true;
    reply.soa_ttl = ttl;
  }
  cursor.skip(size);
}

}  // namespace

std::uint16_t type_number(const std::string& word) {
  static const std::map<std::string, std::uint16_t> kTypes = {
      {"A", 1},    {"NS", 2},  {"CNAME", 5}, {"SOA", 6},    {"PTR", 12},  {"MX", 15},   {"TXT", 16},  {"AAAA", 28},
      {"SRV", 33}, {"DS", 43}, {"SVCB", 64}, {"HTTPS", 65}, {"CAA", 257}, {"ANY", 255}, {"AXFR", 252}};
  const auto found = kTypes.find(word);
  if (found != kTypes.end()) return found->second;
  if (word.starts_with("TYPE")) return static_cast<std::uint16_t>(read_number(word.substr(4)));
  throw Mismatch("'" + word + "' is no type");
}

Packet make_query(const Question& question, std::uint16_t id) {
  Packet packet;
  put16(packet, id);
  put16(packet, question.opcode << 11 | 0x0100);
  put16(packet, 1);
  put16(packet, 0);
  put16(packet, 0);
  put16(packet, question.edns ? 1 : 0);
  for (const std::string& label : split(question.name, ".")) {
    if (label.empty()) continue;
    packet.push_back(static_cast<std::uint8_t>(label.size()));
    packet.insert(packet.end(), label.begin(), label.end());
  }
  packet.push_back(0);
  put16(packet, question.type);
  put16(packet, question.qclass);
  if (question.edns) {
    packet.push_back(0);
    put16(packet, 41);
    put16(packet, 1232);
    put32(packet, 0);
    put16(packet, 0);
  }
  return packet;
}

Packet make_reply(const Packet& query, unsigned rcode, bool with_answer) {
  Cursor cursor(query);
  cursor.skip(12);
  cursor.skip_name();
  const unsigned type = cursor.u16();
  const unsigned qclass = cursor.u16();
  Packet packet(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(cursor.at()));
  packet[2] = static_cast<std::uint8_t>(packet[2] | 0x80);
  packet[3] = static_cast<std::uint8_t>(0x80 | rcode);
  packet[6] = packet[8] = packet[10] = 0;
  packet[7] = with_answer ? 1 : 0;
  packet[9] = 0;
  packet[11] = 0;
  if (with_answer) {
    put16(packet, 0xC00C);
    put16(packet, type);
    put16(packet, qclass);
    put32(packet, 300);
    const unsigned size = type == 28 ? 16 : 4;
    put16(packet, size);
    for (unsigned i = 0; i < size; ++i) packet.push_back(static_cast<std::uint8_t>(i == 0 ? 203 : i));
  }
  return packet;
}

ReplyText read_reply(std::span<const std::uint8_t> packet) {
  Cursor cursor(packet);
  ReplyText reply;
  reply.id = static_cast<std::uint16_t>(cursor.u16());
  const unsigned flags = cursor.u16();
  reply.response = (flags & 0x8000) != 0;
  reply.authoritative = (flags & 0x0400) != 0;
  reply.truncated = (flags & 0x0200) != 0;
  reply.recursion = (flags & 0x0080) != 0;
  reply.rcode = flags & 15;
  const unsigned questions = cursor.u16();
  reply.answers = cursor.u16();
  const unsigned authorities = cursor.u16();
  const unsigned additional = cursor.u16();
  for (unsigned i = 0; i < questions; ++i) {
    cursor.skip_name();
    cursor.skip(4);
  }
  reply.question.assign(packet.begin() + 12, packet.begin() + static_cast<std::ptrdiff_t>(cursor.at()));
  for (unsigned i = 0; i < reply.answers + authorities + additional; ++i) read_record(cursor, reply);
  if (cursor.at() != packet.size()) throw Mismatch("the reply goes on after its last record");
  return reply;
}

}  // namespace har::replay
