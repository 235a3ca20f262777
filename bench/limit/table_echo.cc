// The least that answering configured names over UDP can cost: recvmmsg, a parse of the question, one look-up in a
// hash table, an A record, sendmmsg. One socket, one thread, nothing else: no health, no counters, no EDNS rules.
//
//   table_echo ADDRESS PORT NAMES-FILE|any        one host name a line; `any`: every name is answered (an upstream)
//
// What `hard` costs beside this is the price of what it does besides. Not part of the product.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kRoom = 1500;
constexpr std::size_t kHeader = 12;

std::uint64_t hash_of(const std::uint8_t* bytes, std::size_t size) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001B3;
  return hash;
}

struct Entry {
  std::uint8_t size = 0;  // 0: free
  std::array<std::uint8_t, 255> name{};
  std::uint32_t address = 0;
};

class Table {
 public:
  explicit Table(std::size_t names) {
    std::size_t size = 16;
    while (size < names * 2) size *= 2;
    entries_.resize(size);
  }
  void add(const std::uint8_t* name, std::size_t size, std::uint32_t address) {
    Entry& entry = place(name, size);
    entry.size = static_cast<std::uint8_t>(size);
    std::memcpy(entry.name.data(), name, size);
    entry.address = address;
  }
  const Entry* find(const std::uint8_t* name, std::size_t size) {
    const Entry& entry = place(name, size);
    return entry.size == 0 ? nullptr : &entry;
  }

 private:
  Entry& place(const std::uint8_t* name, std::size_t size) {
    const std::size_t mask = entries_.size() - 1;
    for (std::size_t at = hash_of(name, size) & mask;; at = (at + 1) & mask) {
      Entry& entry = entries_[at];
      if (entry.size == 0) return entry;
      if (entry.size == size && std::memcmp(entry.name.data(), name, size) == 0) return entry;
    }
  }
  std::vector<Entry> entries_;
};

std::size_t to_wire(const std::string& host, std::array<std::uint8_t, 256>& out) {
  std::size_t size = 0;
  for (std::size_t from = 0; from <= host.size();) {
    const std::size_t dot = std::min(host.find('.', from), host.size());
    out[size++] = static_cast<std::uint8_t>(dot - from);
    std::memcpy(&out[size], host.data() + from, dot - from);
    size += dot - from;
    from = dot + 1;
  }
  out[size++] = 0;
  return size;
}

// Size of the reply written to `out`; 0: none.
std::size_t answer(const std::uint8_t* in, std::size_t size, std::uint8_t* out, Table* table) {
  if (size < kHeader + 5 || (in[2] & 0x80) != 0 || in[5] != 1) return 0;
  std::array<std::uint8_t, 256> name;
  std::size_t at = kHeader;
  std::size_t length = 0;
  for (;;) {
    if (at >= size) return 0;
    const std::size_t label = in[at];
    if (label > 63 || at + 1 + label >= size || length + 1 + label > 254) return 0;
    name[length++] = static_cast<std::uint8_t>(label);
    ++at;
    if (label == 0) break;
    for (std::size_t i = 0; i < label; ++i) {
      const std::uint8_t c = in[at + i];
      name[length++] = c >= 'A' && c <= 'Z' ? static_cast<std::uint8_t>(c + 32) : c;
    }
    at += label;
  }
  if (at + 4 > size) return 0;
  std::uint32_t address = htonl(0xC0000201);
  if (table != nullptr) {
    const Entry* entry = table->find(name.data(), length);
    if (entry == nullptr) return 0;
    address = entry->address;
  }
  const std::size_t question_end = at + 4;
  std::memcpy(out, in, question_end);
  out[2] = static_cast<std::uint8_t>(0x84 | (in[2] & 1));
  out[3] = 0x80;
  std::memset(out + 6, 0, 6);
  out[7] = 1;
  std::uint8_t* p = out + question_end;
  const std::array<std::uint8_t, 12> head{0xC0, 0x0C, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4};
  std::memcpy(p, head.data(), head.size());
  std::memcpy(p + 12, &address, 4);
  return question_end + 16;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: table_echo ADDRESS PORT NAMES-FILE|any\n"), 2;
  const bool any = std::strcmp(argv[3], "any") == 0;
  std::vector<std::string> hosts;
  if (!any) {
    std::ifstream file(argv[3]);
    for (std::string line; std::getline(file, line);) hosts.push_back(line);
  }
  Table table(hosts.size());
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    std::array<std::uint8_t, 256> wire;
    const std::size_t size = to_wire(hosts[i], wire);
    table.add(wire.data(), size, htonl(static_cast<std::uint32_t>(0x7F000000 + i)));
  }

  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const int room = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  inet_pton(AF_INET, argv[1], &local.sin_addr);
  if (bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0) return std::perror("bind"), 1;

  static std::array<std::array<std::uint8_t, kRoom>, kBatch> in, out;
  static std::array<sockaddr_in, kBatch> from;
  std::array<iovec, kBatch> in_parts{}, out_parts{};
  std::array<mmsghdr, kBatch> reads{}, writes{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    in_parts[i] = {in[i].data(), kRoom};
    reads[i].msg_hdr = {&from[i], sizeof from[i], &in_parts[i], 1, nullptr, 0, 0};
  }
  for (;;) {
    for (auto& read : reads) read.msg_hdr.msg_namelen = sizeof(sockaddr_in);
    const int count = recvmmsg(fd, reads.data(), kBatch, MSG_WAITFORONE, nullptr);
    if (count < 0) return std::perror("recvmmsg"), 1;
    std::size_t replies = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const std::size_t size = answer(in[i].data(), reads[i].msg_len, out[replies].data(), any ? nullptr : &table);
      if (size == 0) continue;
      out_parts[replies] = {out[replies].data(), size};
      writes[replies].msg_hdr = {&from[i], sizeof from[i], &out_parts[replies], 1, nullptr, 0, 0};
      ++replies;
    }
    if (replies > 0) sendmmsg(fd, writes.data(), static_cast<unsigned>(replies), 0);
  }
}
