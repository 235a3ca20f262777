// One question to the upstreams: sockets and timers round upstream::Exchange. UDP, each try on a socket, a random port
// and an ID of its own; a truncated reply is fetched over TCP from the same upstream.
// Source: SEMANTICS "Forwarding" (whom to ask, what counts as a reply); RFC 5452, RFC 7766.
// Thread: the control thread.  Tested by: resolver_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "net/fd.h"
#include "net/loop.h"
#include "probe/host_record.h"
#include "probe/tcp_probe.h"
#include "upstream/choice.h"
#include "upstream/exchange.h"
#include "upstream/places.h"

namespace har::probe {

// What all questions of a resolver have in common.
struct Asking {
  explicit Asking(net::Loop& l) : loop(l) {}
  net::Loop& loop;
  upstream::Places places;
  upstream::Choice choice;
  upstream::Limits limits;
  std::array<std::uint8_t, 65'536> buffer{};  // for one datagram at a time
  std::size_t lingering = 0;                  // questions that have their answer and still listen
  std::function<void(const IpAddress& upstream, Instant asked)> heard;  // any reply, be it late or bad
};

class Question {
 public:
  using Answered = std::function<void(const DnsEnding&)>;  // must not destroy the question
  using Finished = std::function<void()>;                  // nothing more will come: may destroy it

  // Neither callback comes from inside the constructor; both come exactly once, in this order. Between them replies of
  // slower upstreams are still listened to, for the choice's sake.
  // `only`: asks this one upstream alone, once (whether it lives).
  Question(Asking& asking, std::vector<std::uint8_t> name, std::uint16_t type, std::optional<upstream::Place> only,
           Answered answered, Finished finished);
  ~Question();

 private:
  struct Try {
    explicit Try(std::uint8_t n) : attempt(n) {}
    std::uint8_t attempt;
    std::array<std::uint8_t, 12 + 255 + 4> query{};
    std::size_t query_size = 0;
    net::Fd socket;
    std::optional<net::Watch> watch;  // behind socket: destroyed before it
    std::unique_ptr<TcpProbe> connecting;
    bool over_tcp = false;
    std::vector<std::uint8_t> received;  // over TCP: length and message
    void close() {
      watch.reset();
      socket.reset();
      connecting.reset();
    }
    bool is_open() const { return socket || connecting; }
    std::span<const std::uint8_t> sent() const { return {query.data(), query_size}; }
  };

  void begin();
  void step();
  bool send(const upstream::Step& step);
  void read_udp(Try& t);
  void ask_over_tcp(Try& t);
  void read_tcp(Try& t);
  void failed(Try& t);
  void settle(Try& t, std::span<const std::uint8_t> reply);
  void answer(const DnsEnding& ending);
  void linger();

  // fixed after construction
  Asking& asking_;
  const std::vector<std::uint8_t> name_;
  const std::uint16_t type_;
  const std::optional<upstream::Place> only_;
  const Answered answered_;
  // owned by this thread
  Finished finished_;
  upstream::Exchange exchange_;
  std::vector<std::unique_ptr<Try>> tries_;
  std::uint8_t first_bad_ = 0;
  bool is_answered_ = false;
  bool is_lingering_ = false;  // counted in asking_
  net::Timer timer_;
};

}  // namespace har::probe
