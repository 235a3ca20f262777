// For tests: an upstream on loopback, UDP and TCP on one port, on the loop of the test. What it does with a query is
// the test's; by default it answers NOERROR with one A record. Queries of the loop detection and `. NS` are counted
// apart.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"
#include "dns/name.h"
#include "dns/query.h"
#include "net/clock.h"
#include "net/fd.h"
#include "net/loop.h"
#include "net/sockaddr.h"
#include "net/socket.h"

namespace har::forward {

using Bytes = std::vector<std::uint8_t>;

struct Heard {
  Bytes query;
  IpPort from;
  bool tcp = false;
  int connection = 0;  // TCP: the number of the connection, from 1
  Instant at{};
  std::uint16_t id() const { return static_cast<std::uint16_t>(query[0] << 8 | query[1]); }
};

inline Bytes make_query(const std::string& name, std::uint16_t id, std::uint16_t type = dns::kTypeA) {
  Bytes out{static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  const Bytes wire = *dns::name_to_wire(name);
  out.insert(out.end(), wire.begin(), wire.end());
  for (const int octet : {type >> 8, type & 0xFF, 0, 1}) out.push_back(static_cast<std::uint8_t>(octet));
  return out;
}

// The query with QR and RA set and, with NOERROR, one A record behind it.
inline Bytes make_reply(const Bytes& query, std::uint8_t rcode = 0) {
  Bytes out = query;
  out[2] |= 0x80;
  out[3] = static_cast<std::uint8_t>(0x80 | rcode);
  if (rcode != 0) return out;
  out[7] = 1;
  for (const int octet : {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1}) {
    out.push_back(static_cast<std::uint8_t>(octet));
  }
  return out;
}

class FakeUpstream {
 public:
  explicit FakeUpstream(net::Loop& loop, const char* ip = "127.0.0.1", std::uint16_t port = 0) : loop_(loop) {
    // The same port for both: TCP takes what UDP got; another program may have it, then once more.
    for (int i = 0; i < 50 && !listener_; ++i) {
      auto udp = net::bind_udp(IpPort{*IpAddress::parse(ip), port, 0}, {});
      EXPECT_TRUE(udp) << (udp ? "" : udp.error().message);
      udp_ = std::move(*udp);
      address_ = name_of(udp_.get());
      auto tcp = net::listen_tcp(address_, {});
      if (tcp) listener_ = std::move(*tcp);
    }
    EXPECT_TRUE(listener_);
    udp_watch_.emplace(loop_, udp_.get(), net::Watch::kRead, [this](net::Watch::Interest) { read_udp(); });
    tcp_watch_.emplace(loop_, listener_.get(), net::Watch::kRead, [this](net::Watch::Interest) { accept_tcp(); });
  }

  const IpPort& address() const { return address_; }

  std::function<void(const Heard&)> on_query = [this](const Heard& one) { reply(one, make_reply(one.query)); };
  bool answer_probes = false;  // `. NS` and loop queries

  std::vector<Heard> heard;         // clients' queries
  std::vector<Heard> probes;        // `. NS`
  std::vector<Heard> loop_queries;  // *.har-loop.invalid
  int connections = 0;              // accepted so far

  void reply(const Heard& to, const Bytes& message) {
    if (to.tcp) {
      Bytes framed{static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size())};
      framed.insert(framed.end(), message.begin(), message.end());
      write(to.connection, framed);
    } else {
      const net::SocketAddress address(to.from);
      sendto(udp_.get(), message.data(), message.size(), 0, &address.generic, address.size());
    }
  }
  void reply_after(Duration delay, const Heard& to, const Bytes& message) {
    timers_.push_back(std::make_unique<net::Timer>(loop_, [this, to, message] { reply(to, message); }));
    timers_.back()->set(delay);
  }
  void write(int connection, const Bytes& octets) {
    const auto at = streams_.find(connection);
    if (at == streams_.end()) return;
    Bytes& out = at->second.out;
    out.insert(out.end(), octets.begin(), octets.end());
    flush(connection);
  }
  std::size_t unsent(int connection) { return streams_.at(connection).out.size(); }
  void close_connection(int connection) { streams_.erase(connection); }
  void close_connections() { streams_.clear(); }
  void close_udp() {
    udp_watch_.reset();
    udp_.reset();
  }
  void close_listener() {
    tcp_watch_.reset();
    listener_.reset();
  }
  static IpPort name_of(int fd) {
    net::SocketAddress address;
    socklen_t size = sizeof address;
    getsockname(fd, &address.generic, &size);
    return address.to_ip_port();
  }

 private:
  struct Stream {
    net::Fd fd;
    std::optional<net::Watch> watch;
    IpPort from;
    Bytes in;
    Bytes out;
  };

  void take(Heard one) {
    const dns::Query parsed = dns::parse_query(one.query);
    const std::string name = parsed.name.empty() ? "" : dns::name_to_text(parsed.name);
    if (name.ends_with(".har-loop.invalid") || (name == "." && parsed.type == dns::kTypeNs)) {
      (name == "." ? probes : loop_queries).push_back(one);
      if (answer_probes) reply(one, make_reply(one.query));
      return;
    }
    heard.push_back(one);
    if (on_query) on_query(one);
  }
  void read_udp() {
    Bytes buffer(65'535);
    for (;;) {
      net::SocketAddress from;
      socklen_t size = sizeof from;
      const ssize_t got = recvfrom(udp_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, &from.generic, &size);
      if (got < 0) return;
      take(Heard{Bytes(buffer.begin(), buffer.begin() + got), from.to_ip_port(), false, 0, net::now()});
      if (!udp_) return;
    }
  }
  void accept_tcp() {
    net::SocketAddress from;
    socklen_t size = sizeof from;
    net::Fd fd(accept4(listener_.get(), &from.generic, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    const int number = ++connections;
    Stream& stream = streams_[number];
    stream.from = from.to_ip_port();
    stream.fd = std::move(fd);
    stream.watch.emplace(loop_, stream.fd.get(), net::Watch::kRead,
                         [this, number](net::Watch::Interest what) { serve(number, what); });
  }
  void serve(int number, net::Watch::Interest what) {
    if ((what & net::Watch::kWrite) != 0) flush(number);
    const auto at = streams_.find(number);
    if (at == streams_.end() || (what & net::Watch::kRead) == 0) return;
    Bytes buffer(65'537);
    const ssize_t got = recv(at->second.fd.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      streams_.erase(at);
      return;
    }
    at->second.in.insert(at->second.in.end(), buffer.begin(), buffer.begin() + got);
    for (;;) {
      const auto again = streams_.find(number);
      if (again == streams_.end()) return;
      Bytes& in = again->second.in;
      if (in.size() < 2) return;
      const std::size_t size = static_cast<std::size_t>(in[0] << 8 | in[1]);
      if (in.size() < 2 + size) return;
      Heard one{Bytes(in.begin() + 2, in.begin() + 2 + static_cast<std::ptrdiff_t>(size)), again->second.from, true,
                number, net::now()};
      in.erase(in.begin(), in.begin() + 2 + static_cast<std::ptrdiff_t>(size));
      take(std::move(one));
    }
  }
  void flush(int number) {
    Stream& stream = streams_.at(number);
    const ssize_t sent = send(stream.fd.get(), stream.out.data(), stream.out.size(), MSG_NOSIGNAL);
    if (sent > 0) stream.out.erase(stream.out.begin(), stream.out.begin() + sent);
    stream.watch->set_interest(stream.out.empty() ? net::Watch::kRead : net::Watch::kReadWrite);
  }

  net::Loop& loop_;
  IpPort address_;
  net::Fd udp_;
  net::Fd listener_;
  std::optional<net::Watch> udp_watch_;
  std::optional<net::Watch> tcp_watch_;
  std::map<int, Stream> streams_;
  std::vector<std::unique_ptr<net::Timer>> timers_;
};

}  // namespace har::forward
