// The load of tests/soak/chaos: so many queries a second over UDP and TCP, every reply checked to the last address.
//
//   soak_load ADDRESS PORT QUERIES-A-SECOND SEED NAMES-FILE
//
// A line of the names file is a configured name and what may be answered: `NAME strict|dual ADDRESS,ADDRESS,…`. At a
// strict name A must have an answer, at a dual one a family may be empty. The other half of the queries is for
// n0.test to n49999.test, where n<i> has the address 10.77.<i / 256>.<i % 256>. It runs until its standard input ends,
// and then waits for what is still open. It writes, times in milliseconds of the monotonic clock:
//
//   stat NOW SENT ANSWERED SKIPPED  OWN p50 p99 max us  FORWARDED p50 p99 max us     every 250 ms, for that time
//   event KIND WHEN-SENT COUNT    lost_udp lost_tcp: nothing came in 5 s. closed: the connection ended before the
//   reply.
//                                 late: after 5 s. servfail_own, servfail_forwarded. not_ready: a configured name
//                                 answered by nobody's authority. nodata: an empty answer where one is allowed.
//   wrong WHEN-SENT TEXT          what must never be
//   total SENT ANSWERED           the last line
// Not part of the product.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "message.h"

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kPatience = 5000 * kMs;
constexpr std::size_t kUdpSockets = 16;
constexpr std::size_t kConnections = 32;  // three of four queries go over UDP
constexpr std::size_t kSlots = 4096;
constexpr std::uint32_t kForwardedNames = 50'000;
constexpr std::uint64_t kQueriesOfAConnection = 2000;
constexpr std::uint16_t kA = 1;
constexpr std::uint16_t kAaaa = 28;
constexpr int kRcodeServfail = 2;

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

enum class State : std::uint8_t { kFree, kOpen, kAnswered, kGivenUp };

struct Query {
  std::int64_t sent = 0;
  State state = State::kFree;
  std::uint16_t id = 0;
  std::uint16_t type = kA;
  std::int32_t own = -1;        // index of the configured name
  std::uint32_t forwarded = 0;  // number of the other name
  std::string question;
};

struct Line {  // a UDP socket or a TCP connection
  int fd = -1;
  bool is_tcp = false;
  bool is_connected = false;
  std::uint16_t next_id = 0;
  std::uint64_t sent = 0;
  std::size_t open = 0;
  std::int64_t try_again = 0;
  std::string out, in;
  std::vector<Query> slots = std::vector<Query>(kSlots);
};

struct Opened {
  std::int64_t sent;
  Line* line;
  std::uint16_t id;
};

class Load {
 public:
  Load(const sockaddr_in& server, double rate, std::uint64_t seed, std::vector<Name> names)
      : server_(server), rate_(rate), dice_(seed), names_(std::move(names)), poller_(epoll_create1(EPOLL_CLOEXEC)) {
    lines_.resize(kUdpSockets + kConnections);
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      lines_[i].is_tcp = i >= kUdpSockets;
      lines_[i].next_id = static_cast<std::uint16_t>(dice_());
      connect_line(lines_[i]);
    }
  }

  void run() {
    std::int64_t last = now_ns();
    next_report_ = last + 250 * kMs;
    double due = 0;
    while (!input_ended()) {
      read_replies(1);
      const std::int64_t now = now_ns();
      due += static_cast<double>(now - last) * rate_ / 1e9;
      last = now;
      // What this program itself missed, because it did not run, is not made up for in one burst.
      if (const double most = rate_ / 20; due > most) {
        skipped_ += static_cast<std::uint64_t>(due - most);
        due = most;
      }
      for (; due >= 1; due -= 1) send_query(now_ns());
      look_after(now);
    }
    for (const std::int64_t end = now_ns() + kPatience + 100 * kMs; now_ns() < end && !opened_.empty();) {
      read_replies(5);
      look_after(now_ns());
    }
    next_report_ = 0;
    look_after(now_ns());
    std::printf("total %llu %llu\n", static_cast<unsigned long long>(all_sent_),
                static_cast<unsigned long long>(all_answered_));
  }

 private:
  static bool input_ended() {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    std::array<char, 64> text;
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, text.data(), text.size()) <= 0;
  }

  void connect_line(Line& line) {
    const int kind = line.is_tcp ? SOCK_STREAM : SOCK_DGRAM;
    line.fd = socket(AF_INET, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int room = 4 << 20, yes = 1;
    if (line.is_tcp) {
      setsockopt(line.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    } else {
      setsockopt(line.fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    }
    const int done = connect(line.fd, reinterpret_cast<const sockaddr*>(&server_), sizeof server_);
    line.is_connected = done == 0;
    epoll_event wanted{};
    wanted.events = EPOLLIN | (line.is_connected ? 0U : static_cast<unsigned>(EPOLLOUT));
    wanted.data.ptr = &line;
    epoll_ctl(poller_, EPOLL_CTL_ADD, line.fd, &wanted);
  }

  void end_connection(Line& line, std::int64_t now) {
    for (Query& query : line.slots) {
      if (query.state == State::kOpen) count("closed", query.sent);
      query.state = State::kFree;
    }
    close(line.fd);
    line.fd = -1;
    line.is_connected = false;
    line.open = 0;
    line.sent = 0;
    line.in.clear();
    line.out.clear();
    line.try_again = now + 20 * kMs;
  }

  void send_query(std::int64_t now) {
    Line* line = nullptr;
    if (dice_() % 4 != 0) {
      line = &lines_[dice_() % kUdpSockets];
    } else {
      for (int tries = 0; tries < 8; ++tries) {
        Line& maybe = lines_[kUdpSockets + dice_() % kConnections];
        if (maybe.is_connected && maybe.sent < kQueriesOfAConnection && maybe.out.size() < 16'384) line = &maybe;
      }
      if (line == nullptr) {
        ++skipped_;
        return;
      }
    }
    const std::uint16_t id = line->next_id++;
    Query& query = line->slots[id % kSlots];
    if (query.state == State::kOpen) {
      ++skipped_;
      return;
    }
    query = Query{now, State::kOpen, id, kA, -1, 0, {}};
    std::string text;
    if (dice_() % 2 == 0) {
      query.own = static_cast<std::int32_t>(dice_() % names_.size());
      query.type = dice_() % 4 == 0 ? kAaaa : kA;
      text = names_[static_cast<std::size_t>(query.own)].text;
    } else {
      query.forwarded = static_cast<std::uint32_t>(dice_() % kForwardedNames);
      text = "n" + std::to_string(query.forwarded) + ".test";
    }
    const std::uint64_t capitals = dice_();
    for (std::size_t i = 0; i < text.size(); ++i) {
      if ((capitals >> (i % 64) & 1) != 0) text[i] = static_cast<char>(std::toupper(text[i]));
    }
    std::istringstream labels(text);
    for (std::string label; std::getline(labels, label, '.');)
      query.question += static_cast<char>(label.size()) + label;
    query.question += '\0' + wire16(query.type) + wire16(1);
    const bool edns = dice_() % 2 == 0;
    std::string wire = wire16(id) + wire16(0x100) + wire16(1) + wire16(0) + wire16(0) + wire16(edns) + query.question;
    if (edns) wire += '\0' + wire16(41) + wire16(1232) + std::string(6, '\0');
    if (line->is_tcp) {
      line->out += wire16(static_cast<unsigned>(wire.size())) + wire;
      flush(*line, now);
    } else {
      // A pending error (the port was closed for a moment) is reported instead of sending: send again.
      for (int tries = 0; tries < 3 && send(line->fd, wire.data(), wire.size(), MSG_NOSIGNAL) < 0; ++tries) {
      }
    }
    if (query.state != State::kOpen) return;  // the connection has just ended
    ++line->sent;
    ++line->open;
    ++sent_;
    ++all_sent_;
    opened_.push_back({now, line, id});
  }

  void flush(Line& line, std::int64_t now) {
    while (!line.out.empty()) {
      const ssize_t done = send(line.fd, line.out.data(), line.out.size(), MSG_NOSIGNAL);
      if (done < 0) {
        if (errno != EAGAIN) end_connection(line, now);
        return;
      }
      line.out.erase(0, static_cast<std::size_t>(done));
    }
  }

  void read_replies(int wait_ms) {
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(poller_, events.data(), static_cast<int>(events.size()), wait_ms);
    for (int i = 0; i < count; ++i) {
      Line& line = *static_cast<Line*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (line.fd < 0) continue;
      if (line.is_tcp && !line.is_connected) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(line.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
          end_connection(line, now_ns());
          continue;
        }
        line.is_connected = true;
        epoll_event wanted{};
        wanted.events = EPOLLIN;
        wanted.data.ptr = &line;
        epoll_ctl(poller_, EPOLL_CTL_MOD, line.fd, &wanted);
      }
      line.is_tcp ? read_stream(line) : read_datagrams(line);
    }
  }

  void read_datagrams(Line& line) {
    std::array<char, 4096> room;
    for (int i = 0; i < 64; ++i) {
      const ssize_t size = recv(line.fd, room.data(), room.size(), 0);
      if (size < 0 && errno == EAGAIN) return;
      if (size >= 0) take(line, std::string(room.data(), static_cast<std::size_t>(size)));
    }
  }

  void read_stream(Line& line) {
    std::array<char, 65'536> room;
    const ssize_t size = recv(line.fd, room.data(), room.size(), 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return end_connection(line, now_ns());
    line.in.append(room.data(), static_cast<std::size_t>(size));
    std::size_t at = 0;
    for (; line.in.size() >= at + 2 && line.in.size() >= at + 2 + number16(line.in, at);
         at += 2 + number16(line.in, at))
      take(line, line.in.substr(at + 2, number16(line.in, at)));
    line.in.erase(0, at);
  }

  void take(Line& line, const std::string& reply) {
    const std::int64_t now = now_ns();
    if (reply.size() < 12) return wrong(now, "a reply of " + std::to_string(reply.size()) + " octets", reply);
    const std::uint16_t id = number16(reply, 0);
    Query& query = line.slots[id % kSlots];
    if (query.state == State::kFree || query.id != id) return wrong(now, "a reply to no query of this socket", reply);
    if (query.state == State::kAnswered) return wrong(query.sent, "a second reply", reply);
    const bool in_time = query.state == State::kOpen;
    query.state = State::kAnswered;
    if (!in_time) return count("late", query.sent);
    --line.open;
    ++answered_;
    ++all_answered_;
    (query.own >= 0 ? own_us_ : forwarded_us_).push_back((now - query.sent) / 1000);
    judge(query, reply);
  }

  void judge(const Query& query, const std::string& reply) {
    const unsigned flags = number16(reply, 2);
    const int rcode = static_cast<int>(flags & 15);
    if ((flags & 0x8000) == 0) return wrong(query.sent, "a query instead of a reply", reply);
    if (number16(reply, 4) != 1 || reply.compare(12, query.question.size(), query.question) != 0)
      return wrong(query.sent, "another question than was asked", reply);
    if ((flags & 0x0200) != 0) return wrong(query.sent, "truncated", reply);
    std::vector<std::pair<std::uint16_t, std::string>> records;
    const std::size_t answers = number16(reply, 6);
    if (!read_records(reply, 12 + query.question.size(), answers + number16(reply, 8), records))
      return wrong(query.sent, "malformed", reply);
    if (rcode == kRcodeServfail) return count(query.own >= 0 ? "servfail_own" : "servfail_forwarded", query.sent);
    if (rcode != 0) return wrong(query.sent, "rcode " + std::to_string(rcode), reply);
    if (query.own < 0) {
      const std::string right{10, 77, static_cast<char>(query.forwarded >> 8),
                              static_cast<char>(query.forwarded & 255)};
      if (answers != 1 || records[0].first != kA || records[0].second != right)
        wrong(query.sent, "another name's answer", reply);
      return;
    }
    if ((flags & 0x0400) == 0) return count("not_ready", query.sent);
    const Name& name = names_[static_cast<std::size_t>(query.own)];
    for (std::size_t i = 0; i < answers; ++i) {
      const auto& known = name.addresses;
      if (records[i].first != query.type || std::find(known.begin(), known.end(), records[i].second) == known.end())
        return wrong(query.sent, "no candidate's address", reply);
    }
    if (answers == 0) {
      const bool has_soa = records.size() == 1 && records[0].first == 6;
      if (!has_soa || (query.type == kA && !name.is_dual)) return wrong(query.sent, "no address", reply);
      count("nodata", query.sent);
    }
  }

  void look_after(std::int64_t now) {
    for (; !opened_.empty(); opened_.pop_front()) {
      const Opened& oldest = opened_.front();
      Query& query = oldest.line->slots[oldest.id % kSlots];
      if (query.id == oldest.id && query.sent == oldest.sent && query.state == State::kOpen) {
        if (now - oldest.sent < kPatience) break;
        query.state = State::kGivenUp;
        --oldest.line->open;
        count(oldest.line->is_tcp ? "lost_tcp" : "lost_udp", oldest.sent);
      }
    }
    for (std::size_t i = kUdpSockets; i < lines_.size(); ++i) {
      Line& line = lines_[i];
      if (line.fd < 0 && now >= line.try_again) connect_line(line);
      if (line.fd >= 0 && !line.out.empty()) flush(line, now);
      if (line.fd >= 0 && line.sent >= kQueriesOfAConnection && line.open == 0) end_connection(line, now);
    }
    if (now < next_report_) return;
    next_report_ = now + 250 * kMs;
    std::printf("stat %lld %llu %llu %llu", static_cast<long long>(now / kMs), static_cast<unsigned long long>(sent_),
                static_cast<unsigned long long>(answered_), static_cast<unsigned long long>(skipped_));
    for (auto* latencies : {&own_us_, &forwarded_us_}) {
      std::sort(latencies->begin(), latencies->end());
      const auto at = [&](double share) {
        if (latencies->empty()) return -1LL;
        return static_cast<long long>(
            (*latencies)[static_cast<std::size_t>(static_cast<double>(latencies->size() - 1) * share)]);
      };
      std::printf(" %lld %lld %lld", at(0.5), at(0.99), at(1));
      latencies->clear();
    }
    std::printf("\n");
    sent_ = answered_ = skipped_ = 0;
    for (const auto& [what, number] : events_)
      std::printf("event %s %lld %llu\n", what.second, static_cast<long long>(what.first),
                  static_cast<unsigned long long>(number));
    events_.clear();
    std::fflush(stdout);
  }

  void count(const char* kind, std::int64_t sent) { ++events_[{sent / kMs / 10 * 10, kind}]; }

  void wrong(std::int64_t sent, const std::string& what, const std::string& reply) {
    if (++wrongs_ > 1000) return;
    std::printf("wrong %lld %s: ", static_cast<long long>(sent / kMs), what.c_str());
    for (const char octet : reply) std::printf("%02x", static_cast<unsigned>(static_cast<std::uint8_t>(octet)));
    std::printf("\n");
    std::fflush(stdout);
  }

  const sockaddr_in server_;
  const double rate_;
  std::mt19937_64 dice_;
  const std::vector<Name> names_;
  const int poller_;
  std::vector<Line> lines_;
  std::deque<Opened> opened_;
  std::map<std::pair<std::int64_t, const char*>, std::uint64_t> events_;  // the kinds are literals
  std::vector<std::int64_t> own_us_, forwarded_us_;
  std::uint64_t sent_ = 0, answered_ = 0, skipped_ = 0, all_sent_ = 0, all_answered_ = 0, wrongs_ = 0;
  std::int64_t next_report_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  sockaddr_in server{};
  server.sin_family = AF_INET;
  const auto names = argc == 6 ? read_names(argv[5]) : std::vector<Name>{};
  if (names.empty() || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
    std::fprintf(stderr, "usage: soak_load ADDRESS PORT QUERIES-A-SECOND SEED NAMES-FILE\n");
    return 2;
  }
  server.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  Load(server, std::atof(argv[3]), std::strtoull(argv[4], nullptr, 10), names).run();
  return 0;
}
