// A load generator that costs little beside what it loads: queries for A by sendmmsg, replies by recvmmsg, latencies
// in a histogram. Either a number of queries always under way (the server is busy at every moment), or a rate (each
// query has its time; the generator spins, so that no wake-up of its own stands in the figures).
//
//   load ADDRESS PORT NAMES-FILE|unique SECONDS window N [SOCKETS]
//   load ADDRESS PORT NAMES-FILE|unique SECONDS rate QUERIES-A-SECOND [SOCKETS]
//   load ADDRESS PORT NAMES-FILE|unique SECONDS paced QUERIES-A-SECOND
//
// paced: as rate, but it sleeps in between, and leaves its core to others: to be run with a real-time priority.
// Prints one line: sent=… received=… lost=… wrong=… qps=… p50_us=… p90_us=… p99_us=… p999_us=… max_us=…
// A query is lost when nothing came for it within a second. wrong: replies with another rcode than NOERROR.
// Not part of the product.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kRoom = 1500;
constexpr std::size_t kIds = 65'536;
constexpr std::int64_t kLostAfter = 1'000'000'000;

std::int64_t now_ns() { return Clock::now().time_since_epoch().count(); }

// Latencies to 1/32 of their size.
class Histogram {
 public:
  void add(std::int64_t ns) {
    const auto v = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 1));
    ++counts_[place(v)];
    ++total_;
    max_ = std::max(max_, v);
  }
  double quantile_us(double q) const {
    const auto wanted = static_cast<std::uint64_t>(q * static_cast<double>(total_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return static_cast<double>(value(i)) / 1000;
    }
    return max_us();
  }
  double max_us() const { return static_cast<double>(max_) / 1000; }

 private:
  static std::size_t place(std::uint64_t v) {
    if (v < 32) return v;
    const int shift = 63 - __builtin_clzll(v) - 5;
    return static_cast<std::size_t>(shift + 1) * 32 + ((v >> shift) & 31);
  }
  static std::uint64_t value(std::size_t at) {
    if (at < 32) return at;
    const std::size_t shift = at / 32 - 1;
    return (32 + at % 32) << shift;
  }
  std::array<std::uint64_t, 64 * 32> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

class Queries {
 public:
  explicit Queries(const std::string& source) : unique_(source == "unique") {
    if (unique_) return;
    std::ifstream file(source);
    for (std::string line; std::getline(file, line);) wires_.push_back(to_wire(line));
  }
  bool empty() const { return !unique_ && wires_.empty(); }

  std::size_t write(std::uint16_t id, std::uint8_t* out) {
    std::string name;
    if (unique_) {
      std::array<char, 32> label;
      std::snprintf(label.data(), label.size(), "u%010llu", static_cast<unsigned long long>(serial_++));
      name = to_wire(std::string(label.data()) + ".load.example");
    } else {
      name = wires_[serial_++ % wires_.size()];
    }
    const std::array<std::uint8_t, 12> head{
        static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    std::memcpy(out, head.data(), head.size());
    std::memcpy(out + 12, name.data(), name.size());
    const std::array<std::uint8_t, 4> tail{0, 1, 0, 1};
    std::memcpy(out + 12 + name.size(), tail.data(), tail.size());
    return 16 + name.size();
  }

 private:
  static std::string to_wire(const std::string& host) {
    std::string out;
    for (std::size_t from = 0; from <= host.size();) {
      const std::size_t dot = std::min(host.find('.', from), host.size());
      out += static_cast<char>(dot - from);
      out += host.substr(from, dot - from);
      from = dot + 1;
    }
    return out + '\0';
  }
  bool unique_;
  std::vector<std::string> wires_;
  std::uint64_t serial_ = 0;
};

struct Socket {
  int fd = -1;
  std::uint32_t next_id = 0;
  std::uint32_t oldest = 0;                                                // ids from here to next_id may be under way
  std::vector<std::int64_t> sent_at = std::vector<std::int64_t>(kIds, 0);  // 0: not under way
};

struct Load {
  Queries& queries;
  std::vector<Socket> sockets;
  Histogram histogram;
  std::uint64_t sent = 0, received = 0, lost = 0, wrong = 0;
  std::int64_t under_way = 0;
  std::array<std::array<std::uint8_t, kRoom>, kBatch> bytes;
  std::array<iovec, kBatch> parts;
  std::array<mmsghdr, kBatch> headers;

  void send(Socket& s, std::size_t count) {
    std::array<std::uint16_t, kBatch> ids;
    for (std::size_t i = 0; i < count; ++i) {
      ids[i] = static_cast<std::uint16_t>(s.next_id++);
      if (s.sent_at[ids[i]] != 0) {
        ++lost;
        --under_way;
      }
      parts[i] = {bytes[i].data(), queries.write(ids[i], bytes[i].data())};
      headers[i].msg_hdr = {nullptr, 0, &parts[i], 1, nullptr, 0, 0};
    }
    const std::int64_t now = now_ns();
    const int done = sendmmsg(s.fd, headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    for (std::size_t i = 0; i < count; ++i)
      s.sent_at[ids[i]] = i < static_cast<std::size_t>(std::max(done, 0)) ? now : 0;
    sent += static_cast<std::uint64_t>(std::max(done, 0));
    under_way += std::max(done, 0);
  }

  std::size_t receive(Socket& s) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      parts[i] = {bytes[i].data(), kRoom};
      headers[i].msg_hdr = {nullptr, 0, &parts[i], 1, nullptr, 0, 0};
    }
    const int got = recvmmsg(s.fd, headers.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (got <= 0) return 0;
    const std::int64_t now = now_ns();
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      if (headers[i].msg_len < 12) continue;
      const std::size_t id = std::size_t{bytes[i][0]} << 8 | bytes[i][1];
      if (s.sent_at[id] == 0) continue;
      histogram.add(now - s.sent_at[id]);
      s.sent_at[id] = 0;
      ++received;
      --under_way;
      if ((bytes[i][3] & 15) != 0) ++wrong;
    }
    return static_cast<std::size_t>(got);
  }

  void give_up_late(std::int64_t now) {
    for (Socket& s : sockets) {
      for (std::size_t looked = 0; looked < kIds && s.oldest != s.next_id; ++looked) {
        std::int64_t& at = s.sent_at[s.oldest % kIds];
        if (at != 0 && now - at < kLostAfter) break;
        if (at != 0) {
          at = 0;
          ++lost;
          --under_way;
        }
        ++s.oldest;
      }
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7)
    return std::fprintf(stderr,
                        "usage: load ADDRESS PORT NAMES|unique SECONDS window|rate|paced N [SOCKETS [BURST]]\n"),
           2;
  Queries queries(argv[3]);
  if (queries.empty()) return std::fprintf(stderr, "load: no names in %s\n", argv[3]), 2;
  const auto seconds = std::atof(argv[4]);
  const bool sleeps = std::strcmp(argv[5], "paced") == 0;
  const bool by_rate = sleeps || std::strcmp(argv[5], "rate") == 0;
  const auto amount = std::atol(argv[6]);
  const std::size_t burst = argc > 8 ? std::min(kBatch, static_cast<std::size_t>(std::atoi(argv[8]))) : kBatch;
  static Load load{queries, std::vector<Socket>(argc > 7 ? static_cast<std::size_t>(std::atoi(argv[7])) : 1),
                   {},      0,
                   0,       0,
                   0,       0,
                   {},      {},
                   {}};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  inet_pton(AF_INET, argv[1], &to.sin_addr);
  for (Socket& s : load.sockets) {
    s.fd = socket(AF_INET, SOCK_DGRAM, 0);
    const int room = 4 << 20;
    setsockopt(s.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(s.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (connect(s.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return std::perror("connect"), 1;
  }
  const std::int64_t begin = now_ns();
  const auto end = begin + static_cast<std::int64_t>(seconds * 1e9);
  std::int64_t next_look = begin + 100'000'000;
  std::size_t turn = 0;
  std::int64_t now = begin;
  std::uint64_t scheduled = 0;
  for (; now < end; now = now_ns()) {
    if (sleeps) {
      const double due = static_cast<double>(scheduled + 1) * 1e9 / static_cast<double>(amount);
      const auto left = std::max<std::int64_t>(begin + static_cast<std::int64_t>(due) - now_ns(), 0);
      const timespec time{left / 1'000'000'000, left % 1'000'000'000};
      pollfd watched{load.sockets[0].fd, POLLIN, 0};
      ppoll(&watched, 1, &time, nullptr);
      now = now_ns();
    }
    if (by_rate) {
      const auto due = static_cast<std::uint64_t>(static_cast<double>(now - begin) / 1e9 * static_cast<double>(amount));
      for (; scheduled < due; ++scheduled) load.send(load.sockets[turn++ % load.sockets.size()], 1);
    } else {
      while (load.under_way < amount) {
        const auto room = static_cast<std::size_t>(amount - load.under_way);
        const std::uint64_t before = load.sent;
        load.send(load.sockets[turn++ % load.sockets.size()], std::min(room, burst));
        if (load.sent == before) break;
      }
    }
    for (Socket& s : load.sockets) {
      while (load.receive(s) == kBatch) {
      }
    }
    if (now >= next_look) {
      load.give_up_late(now);
      next_look = now + 100'000'000;
    }
  }
  const std::int64_t patience = now + kLostAfter;
  while (load.under_way > 0 && now_ns() < patience) {
    for (Socket& s : load.sockets) load.receive(s);
  }
  load.lost += static_cast<std::uint64_t>(std::max<std::int64_t>(load.under_way, 0));
  const Histogram& h = load.histogram;
  std::printf(
      "sent=%llu received=%llu lost=%llu wrong=%llu qps=%.0f p50_us=%.1f p90_us=%.1f p99_us=%.1f p999_us=%.1f "
      "max_us=%.1f\n",
      static_cast<unsigned long long>(load.sent), static_cast<unsigned long long>(load.received),
      static_cast<unsigned long long>(load.lost), static_cast<unsigned long long>(load.wrong),
      static_cast<double>(load.received) / (static_cast<double>(now - begin) / 1e9), h.quantile_us(0.5),
      h.quantile_us(0.9), h.quantile_us(0.99), h.quantile_us(0.999), h.max_us());
}
