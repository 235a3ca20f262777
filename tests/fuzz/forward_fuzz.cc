// Upstreams' replies through forward::Forwarder, over real sockets on loopback: right, damaged and raw ones, over UDP
// and over TCP with any cuts, late, twice, to the wrong socket; connections that end; sets of upstreams that change;
// zone transfers. Input: events (World::event). Time plays no part: every timeout is far away.
// Holds: every query ends once, with what it was asked with; nothing of a query but its ID changes on its way out; a
// reply is delivered only if an upstream sent just these octets, but for the ID, to the socket that the query came
// from, with that query's ID, and if it matches the query; what is in flight is what has not ended; a query comes on a
// connection beside one without a reply only where there have been as many connections as there may be.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/assert.h"
#include "dns/match.h"
#include "dns/types.h"
#include "forward/forwarder.h"
#include "input.h"
#include "net/fd.h"
#include "net/loop.h"
#include "net/sockaddr.h"

namespace har::forward {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Octets = std::span<const std::uint8_t>;

constexpr std::size_t kUpstreams = 2;
constexpr std::size_t kMostAsked = 64;
constexpr std::uint32_t kMaxInFlight = 6;
constexpr int kMaxConnections = 16;  // to one upstream

// UDP and TCP on one port, for all inputs.
struct Upstream {
  Upstream() {
    for (int i = 0; i < 50 && !listener; ++i) {
      net::SocketAddress any(IpPort{.ip = *IpAddress::parse("127.0.0.1")});
      udp.reset(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      HAR_ASSERT(bind(udp.get(), &any.generic, any.size()) == 0);
      socklen_t size = sizeof any;
      HAR_ASSERT(getsockname(udp.get(), &any.generic, &size) == 0);
      net::Fd tcp(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (bind(tcp.get(), &any.generic, any.size()) == 0 && listen(tcp.get(), 64) == 0) listener = std::move(tcp);
      address = any.to_ip_port();
    }
    HAR_ASSERT(listener);
  }
  net::Fd udp, listener;
  IpPort address;
};

struct Net {
  // Serves what is ready and does not wait.
  void turn() {
    tick.set(Duration::zero());
    loop.run_once();
  }
  net::Loop loop;
  net::Timer tick{loop, [] {}};
  std::array<Upstream, kUpstreams> upstreams;
};

class World {
 public:
  World(Net& net, Octets input) : net_(net), input_(input) {
    Options options;
    options.resolver_timeout = options.total_timeout = std::chrono::minutes(10);
    options.tcp_idle_timeout = options.transfer_idle_timeout = std::chrono::hours(1);
    options.max_in_flight = kMaxInFlight;
    options.max_transfers = 3;
    options.sockets_per_upstream = 2;
    forwarder_.emplace(net.loop, options,
                       [this](Ending ending, const net::Asker& asker, std::uint32_t tag, Octets query, Octets reply) {
                         done(ending, asker, tag, query, reply);
                       });
    set_upstreams(input_.next());
  }

  void run() {
    while (!input_.empty()) {
      event();
      net_.turn();
      listen_to_all();
      HAR_ASSERT(forwarder_->in_flight() == open_);
    }
    is_ending_ = true;
    forwarder_->end_all();
    HAR_ASSERT(open_ == 0 && forwarder_->in_flight() == 0);
    for (Connection& connection : connections_) hang_up(connection);
    forwarder_.reset();
    listen_to_all();  // nothing of this input is left for the next
    for (Connection& connection : connections_) hang_up(connection);
  }

 private:
  struct Asked {
    net::Asker asker;
    Bytes query;
    bool is_transfer = false;
    bool has_ended = false;
  };
  struct Connection {
    net::Fd fd;
    Bytes in, out;
  };
  // Where a query came from: a UDP socket of the forwarder's at one of ours, or a connection.
  struct Channel {
    std::size_t upstream = 0;
    std::optional<std::size_t> connection;
    std::uint16_t port = 0;
    bool operator==(const Channel&) const = default;
  };
  struct Message {
    Channel channel;
    Bytes octets;
  };

  void event() {
    const std::uint8_t octet = input_.next();
    const std::size_t choice = octet >> 3;
    switch (octet & 7) {
      case 0:
        return ask(net::Asker::Kind::kUdp, choice);
      case 1:
        return ask(net::Asker::Kind::kTcp, choice);
      case 2:
        return reply(choice);
      case 3:
        return reply_damaged(choice);
      case 4: {  // raw octets; over TCP they may be anything, also half a message
        if (heard_.empty()) return;
        const Channel channel = pick(choice).channel;
        const Octets raw = input_.take(input_.next());
        if (!channel.connection) return send({channel, Bytes(raw.begin(), raw.end())});
        Bytes& out = connections_[*channel.connection].out;
        out.insert(out.end(), raw.begin(), raw.end());
        is_raw_ = true;
        return;
      }
      case 5:
        return push((choice + 1) * (choice + 1) * 8);
      case 6:
        return break_something(choice);
      case 7:
        return push(65'536);
    }
  }

  // ---- the clients

  void ask(net::Asker::Kind kind, std::size_t choice) {
    if (asked_.size() == kMostAsked) return;
    constexpr std::uint16_t kTypes[] = {dns::kTypeA, dns::kTypeAaaa, dns::kTypeAxfr, dns::kTypeIxfr};
    Asked one;
    one.asker.kind = kind;
    one.asker.serial = static_cast<std::uint32_t>(asked_.size());
    const std::uint16_t type = kTypes[choice % 4];
    const auto id = input_.next();
    if (choice < 28) {
      one.query = {id, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'W', static_cast<std::uint8_t>('a' + choice / 4), 0};
      for (const int last : {type >> 8, type & 0xFF, 0, 1}) one.query.push_back(static_cast<std::uint8_t>(last));
      one.is_transfer = kind == net::Asker::Kind::kTcp && choice % 4 >= 2;
    } else {
      const Octets raw = input_.take(input_.next());
      one.query.assign(raw.begin(), raw.end());
      one.query.resize(std::max(one.query.size(), dns::kHeaderSize));
      one.query[2] &= 0x7F;
    }
    asked_.push_back(one);
    ++open_;
    forwarder_->ask(one.query, one.asker, one.asker.serial, one.is_transfer);
  }

  void done(Ending ending, const net::Asker& asker, std::uint32_t tag, Octets query, Octets reply) {
    HAR_ASSERT(tag < asked_.size());
    Asked& one = asked_[tag];
    HAR_ASSERT(!one.has_ended && asker.kind == one.asker.kind && asker.serial == tag);
    HAR_ASSERT(std::equal(query.begin(), query.end(), one.query.begin(), one.query.end()));
    if (ending == Ending::kReply || ending == Ending::kMore) {
      check_reply(one, reply);
    } else {
      HAR_ASSERT(reply.empty());
    }
    if (ending == Ending::kMore || ending == Ending::kBroken) HAR_ASSERT(one.is_transfer);
    if (ending == Ending::kMore) return;
    one.has_ended = true;
    --open_;
  }

  void check_reply(const Asked& one, Octets reply) const {
    HAR_ASSERT(!is_ending_ && reply.size() >= dns::kHeaderSize);
    const bool has_no_question = reply[4] == 0 && reply[5] == 0;  // later messages of a transfer
    HAR_ASSERT(dns::reply_matches(one.query, reply) || (one.is_transfer && has_no_question));
    HAR_ASSERT(reply[0] == one.query[0] && reply[1] == one.query[1]);
    const bool tcp = one.asker.kind == net::Asker::Kind::kTcp;
    for (const Message& sent : sent_) {
      if (sent.channel.connection.has_value() != tcp || !same_but_id(sent.octets, reply)) continue;
      for (const Message& query : heard_) {
        const bool is_it = query.channel == sent.channel && same_but_id(query.octets, one.query) &&
                           std::equal(query.octets.begin(), query.octets.begin() + 2, sent.octets.begin());
        if (is_it) return;
      }
    }
    HAR_ASSERT(tcp && is_raw_);  // it stood in raw octets of a stream
  }

  static bool same_but_id(Octets a, Octets b) {
    return a.size() >= 2 && b.size() >= 2 && std::equal(a.begin() + 2, a.end(), b.begin() + 2, b.end());
  }

  // ---- the upstreams: what they hear

  void listen_to_all() {
    for (std::size_t upstream = 0; upstream < kUpstreams; ++upstream) {
      for (int i = 0; i < 64; ++i) {
        net::SocketAddress from;
        socklen_t size = sizeof from;
        const ssize_t got =
            recvfrom(net_.upstreams[upstream].udp.get(), buffer_.data(), buffer_.size(), 0, &from.generic, &size);
        if (got < 0) break;
        hear({.upstream = upstream, .connection = {}, .port = from.to_ip_port().port},
             Octets(buffer_).first(static_cast<std::size_t>(got)));
      }
      for (int i = 0; i < 64; ++i) {
        net::Fd fd(accept4(net_.upstreams[upstream].listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) break;
        connections_.push_back({std::move(fd), {}, {}});
        upstream_of_.push_back(upstream);
      }
    }
    for (std::size_t i = 0; i < connections_.size(); ++i) listen_to(i);
  }

  void listen_to(std::size_t index) {
    Connection& c = connections_[index];
    if (!c.fd) return;
    const ssize_t got = recv(c.fd.get(), buffer_.data(), buffer_.size(), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return c.fd.reset();
    if (got > 0) c.in.insert(c.in.end(), buffer_.begin(), buffer_.begin() + got);
    while (c.in.size() >= 2 && c.in.size() - 2 >= c.in[0] * std::size_t{256} + c.in[1]) {
      const std::size_t size = c.in[0] * std::size_t{256} + c.in[1];
      hear({.upstream = upstream_of_[index], .connection = index, .port = 0}, Octets(c.in).subspan(2, size));
      c.in.erase(c.in.begin(), c.in.begin() + static_cast<std::ptrdiff_t>(2 + size));
    }
  }

  void hear(const Channel& channel, Octets query) {
    if (!forwarder_) return;  // left over
    const bool is_asked = std::any_of(asked_.begin(), asked_.end(), [&](const Asked& one) {
      return (one.asker.kind == net::Asker::Kind::kTcp) == channel.connection.has_value() &&
             same_but_id(one.query, query);
    });
    // Those of the forwarder itself: `. NS`, or <32 hex>.har-loop.invalid.
    HAR_ASSERT(is_asked || query.size() == dns::kHeaderSize + 5 || query[dns::kHeaderSize] == 32);
    if (channel.connection && !is_raw_ && shares(channel)) {
      // Only so can it have begun, and shown that it can be.
      HAR_ASSERT(std::count(upstream_of_.begin(), upstream_of_.end(), channel.upstream) >= kMaxConnections);
    }
    heard_.push_back({channel, Bytes(query.begin(), query.end())});
  }

  // Whether a query on it has had no reply yet, right or wrong.
  bool shares(const Channel& channel) const {
    return std::any_of(heard_.begin(), heard_.end(), [&](const Message& query) {
      if (!(query.channel == channel)) return false;
      return std::none_of(sent_.begin(), sent_.end(), [&](const Message& sent) {
        return sent.channel == channel && sent.octets.size() >= 2 &&
               std::equal(sent.octets.begin(), sent.octets.begin() + 2, query.octets.begin());
      });
    });
  }

  // ---- the upstreams: what they say

  const Message& pick(std::size_t choice) const {
    // The latest are the likely ones.
    return heard_[heard_.size() - 1 - choice % heard_.size()];
  }

  void send(const Message& message) {
    sent_.push_back(message);
    const Channel& to = message.channel;
    if (to.connection) {
      Bytes& out = connections_[*to.connection].out;
      out.push_back(static_cast<std::uint8_t>(message.octets.size() >> 8));
      out.push_back(static_cast<std::uint8_t>(message.octets.size()));
      out.insert(out.end(), message.octets.begin(), message.octets.end());
      return;
    }
    const net::SocketAddress address(IpPort{.ip = *IpAddress::parse("127.0.0.1"), .port = to.port});
    sendto(net_.upstreams[to.upstream].udp.get(), message.octets.data(), message.octets.size(), MSG_NOSIGNAL,
           &address.generic, address.size());
  }

  Message make_reply(std::size_t choice) {
    Message reply = pick(choice);
    const std::uint8_t form = input_.next();
    constexpr std::uint8_t kRcodes[] = {0, 0, 2, 3, 5, 0, 1, 0};
    reply.octets[2] |= 0x80;
    reply.octets[3] = kRcodes[form % 8];
    if (form % 8 == 5 && form >= 128) reply.octets[2] |= 2;  // TC
    const int records = reply.octets[3] == 0 ? form / 8 % 4 : 0;
    for (int i = 0; i < records; ++i) {
      if (form >= 64) {  // a SOA: the beginning or the end of a transfer
        reply.octets.insert(reply.octets.end(), {0xC0, 12, 0, 6, 0, 1, 0, 0, 0, 9, 0, 22, 0, 0, 0, 0, 0});
        reply.octets.push_back(static_cast<std::uint8_t>(form / 64));
        reply.octets.resize(reply.octets.size() + 16);
      } else {
        reply.octets.insert(reply.octets.end(), {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1});
      }
    }
    reply.octets[7] = static_cast<std::uint8_t>(records);
    if (form >= 240 && reply.channel.connection) reply.octets.resize(60'000);
    return reply;
  }

  void reply(std::size_t choice) {
    if (!heard_.empty()) send(make_reply(choice));
  }

  // Some octets are others, some are missing, or it goes to another socket.
  void reply_damaged(std::size_t choice) {
    if (heard_.empty()) return;
    Message reply = make_reply(choice);
    const std::uint8_t how = input_.next();
    for (int patches = how % 4; patches > 0; --patches) {
      const std::size_t at = input_.next() % reply.octets.size();
      reply.octets[at] = input_.next();
    }
    if (how % 8 == 7) reply.octets.resize(input_.next() % reply.octets.size());
    if (how >= 192) reply.channel = pick(input_.next()).channel;
    send(reply);
  }

  // The next octets of one of the connections.
  void push(std::size_t most) {
    if (connections_.empty()) return;
    Connection& c = connections_[connections_.size() - 1 - input_.next() % connections_.size()];
    if (!c.fd || c.out.empty()) return;
    const ssize_t sent = ::send(c.fd.get(), c.out.data(), std::min(most, c.out.size()), MSG_NOSIGNAL);
    if (sent > 0) c.out.erase(c.out.begin(), c.out.begin() + sent);
  }

  void break_something(std::size_t choice) {
    switch (choice % 8) {
      case 0:
      case 1:
        if (!connections_.empty()) connections_[input_.next() % connections_.size()].fd.reset();
        break;
      case 2:
        if (!connections_.empty()) hang_up(connections_[input_.next() % connections_.size()]);
        break;
      case 3:
        if (!connections_.empty()) shutdown(connections_[input_.next() % connections_.size()].fd.get(), SHUT_WR);
        break;
      case 4:
        set_upstreams(input_.next());
        break;
      case 5:
        forwarder_->begin_anew();
        break;
      case 6:
        if (!asked_.empty()) forwarder_->mark_looping(net_.upstreams[input_.next() % kUpstreams].address);
        break;
      case 7:
        is_ending_ = true;
        forwarder_->end_all();
        is_ending_ = false;
        HAR_ASSERT(open_ == 0);
        break;
    }
  }

  void set_upstreams(std::uint8_t which) {
    std::vector<IpPort> set;
    if (which % 4 != 1) set.push_back(net_.upstreams[0].address);
    if (which % 4 >= 1) set.push_back(net_.upstreams[1].address);
    if (which == 255) set.clear();
    if (which >= 240) set.push_back({.ip = *IpAddress::parse("127.0.0.1"), .port = 1});  // refuses
    forwarder_->set_upstreams(set);
  }

  static void hang_up(Connection& connection) {
    if (!connection.fd) return;
    const linger reset{.l_onoff = 1, .l_linger = 0};  // no TIME_WAIT
    setsockopt(connection.fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    connection.fd.reset();
  }

  Net& net_;
  Input input_;
  std::vector<Asked> asked_;
  std::size_t open_ = 0;  // asked and not ended
  bool is_raw_ = false;
  bool is_ending_ = false;
  std::vector<Connection> connections_;
  std::vector<std::size_t> upstream_of_;  // each connection
  std::vector<Message> heard_, sent_;
  std::array<std::uint8_t, 65'536> buffer_{};
  std::optional<Forwarder> forwarder_;  // last: calls back into the rest
};

}  // namespace
}  // namespace har::forward

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto* const net = new har::forward::Net;  // never destroyed: at exit its loop may be gone before it
  har::forward::World(*net, {data, std::min<std::size_t>(size, 400)}).run();
  return 0;
}
