// A client's TCP connection through front::TcpFront, over a real socket on loopback: any octets cut anywhere, replies
// at once, later and in any order, slow reading, half-closing. Input: two octets of limits, then events (see
// World::event). Holds: the handler sees the stream's messages, each once, whole, in order, and nothing behind
// nonsense; never more without a reply than the limit says; the client gets exactly the octets that were replied,
// framed, and then the end of the stream, in time, never a reset; a connection is not closed while somebody waits for
// something.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/assert.h"
#include "front/tcp_front.h"
#include "input.h"
#include "net/fd.h"
#include "net/loop.h"

namespace har::front {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Octets = std::span<const std::uint8_t>;

constexpr std::size_t kHeader = 12;
// Octets of one input in either direction: beyond the front's limit of 256 KiB, or few, for many inputs a second.
constexpr std::size_t kMost = 400 * 1024;
constexpr std::size_t kFew = 12 * 1024;

// One front for all inputs: a connection each.
class Server {
 public:
  using Handler = std::function<TcpFront::Answer(Octets message, const net::Asker& asker, std::span<std::uint8_t> out)>;

  Server() {
    net::SocketAddress any(IpPort{.ip = *IpAddress::parse("127.0.0.1")});
    net::Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int small = 16'384;  // inherited by the connections: their writes come to an end soon
    setsockopt(listener.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    HAR_ASSERT(bind(listener.get(), &any.generic, any.size()) == 0 && listen(listener.get(), 16) == 0);
    socklen_t size = sizeof address;
    HAR_ASSERT(getsockname(listener.get(), &address.generic, &size) == 0);
    std::vector<net::Fd> listeners;
    listeners.push_back(std::move(listener));
    front.serve(std::move(listeners));
  }

  // Serves what is ready and does not wait.
  void turn() {
    tick.set(Duration::zero());
    loop.run_once();
  }

  net::Loop loop;
  net::Timer tick{loop, [] {}};
  net::SocketAddress address;
  Handler handler;
  TcpFront front{loop,
                 {},
                 [](const IpAddress&, bool) { return true; },
                 [this](Octets message, const net::Asker& asker, auto out) { return handler(message, asker, out); }};
};

class World {
 public:
  World(Server& server, Octets input) : server_(server), front_(server.front), input_(input) {
    limits_.max_in_flight = 1 + input_.next() % 12;
    limits_.idle_timeout = std::chrono::hours(24);
    size_choice_ = input_.next();
    most_ = size_choice_ >= 208 ? kMost : kFew;
    front_.set_limits(limits_);
    server_.handler = [this](Octets message, const net::Asker& asker, std::span<std::uint8_t> out) {
      return handle(message, asker, out);
    };
    client_ = net::Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int small = 8'192;
    if (size_choice_ % 2 == 1) setsockopt(client_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    HAR_ASSERT(connect(client_.get(), &server_.address.generic, server_.address.size()) == 0);
    fcntl(client_.get(), F_SETFL, O_NONBLOCK);
    until([this] { return front_.connections() == 1; });
  }

  void run() {
    while (!input_.empty()) {
      event();
      check_open();
    }
    end();
    check_end();
  }

 private:
  struct Waiting {
    net::Asker asker;
    int parts = 0;
  };

  // Turns are counted, not time: whoever debugs or pauses us must not fail. Most end at once, for something is ready.
  template <typename Done>
  void until(Done done) {
    for (int turns = 0; !done(); ++turns) {
      HAR_ASSERT(turns < 5'000);
      server_.tick.set(std::chrono::milliseconds(1));
      server_.loop.run_once();
    }
  }

  // ---- the client

  void event() {
    const std::uint8_t octet = input_.next();
    const std::size_t much = octet >> 3;
    switch (octet & 7) {
      case 0:  // raw octets, at once
      case 1:
        send(input_.take(1 + much));
        break;
      case 2:  // a well-made message in two pieces
        send_message(kHeader + much, input_.next());
        break;
      case 3:  // a large one
        send_message(kHeader + much * (most_ / 194), input_.next());
        break;
      case 4:
        receive((much + 1) * (much + 1) * 128);
        break;
      case 5:
        reply_later(much);
        break;
      case 6:
        if (much == 31) shut();
        break;
      case 7:  // many small ones in one piece
        pipeline(much);
        break;
    }
    server_.turn();
  }

  void send_message(std::size_t size, std::uint8_t cut) {
    size = std::min<std::size_t>(size, 65'535);
    Bytes framed = {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)};
    for (std::size_t i = 0; i < size; ++i) framed.push_back(static_cast<std::uint8_t>(cut + i));
    const std::size_t first = cut * framed.size() / 256;
    if (!send(Octets(framed).first(first))) return;
    server_.turn();
    send(Octets(framed).subspan(first));
  }

  void pipeline(std::size_t count) {
    Bytes all;
    for (std::size_t i = 0; i <= count; ++i) {
      all.insert(all.end(), {0, kHeader, input_.next()});
      all.insert(all.end(), kHeader - 1, 0);
    }
    send(all);
  }

  // False: not taken whole, because the front does not read.
  bool send(Octets octets) {
    if (is_shut_ || octets.empty() || stream_.size() > most_) return false;
    const ssize_t sent = ::send(client_.get(), octets.data(), octets.size(), MSG_NOSIGNAL);
    // Who speaks on after our end may find the connection gone.
    HAR_ASSERT(sent >= 0 || errno == EAGAIN || (is_over() && (errno == EPIPE || errno == ECONNRESET)));
    if (sent <= 0) return false;
    stream_.insert(stream_.end(), octets.begin(), octets.begin() + sent);
    return static_cast<std::size_t>(sent) == octets.size();
  }

  void receive(std::size_t most) {
    Bytes buffer(most);
    const ssize_t got = recv(client_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) {
      HAR_ASSERT(errno == EAGAIN || (errno == ECONNRESET && is_over() && !is_shut_));
      is_ended_ = is_ended_ || errno == ECONNRESET;
      return;
    }
    if (got == 0) is_ended_ = true;
    HAR_ASSERT(static_cast<std::size_t>(got) <= expected_.size() - received_);
    HAR_ASSERT(std::equal(buffer.begin(), buffer.begin() + got, at(expected_, received_)));
    received_ += static_cast<std::size_t>(got);
  }

  void shut() {
    is_shut_ = true;
    shutdown(client_.get(), SHUT_WR);
  }

  // ---- the server's side

  TcpFront::Answer handle(Octets message, const net::Asker& asker, std::span<std::uint8_t> out) {
    HAR_ASSERT(!is_over() && waiting_.size() < limits_.max_in_flight);
    const std::optional<Octets> due = next_message();
    HAR_ASSERT(due && std::equal(due->begin(), due->end(), message.begin(), message.end()));
    stream_at_ += 2 + message.size();
    switch (message[0] % 5) {
      case 0:
        return {TcpFront::Outcome::kDrop, 0};
      case 1:
        waiting_.push_back({asker});
        return {TcpFront::Outcome::kLater, 0};
      case 2:  // one that waits is ended from inside the call
        waiting_.push_back({asker});
        reply_later(message[1]);
        return {TcpFront::Outcome::kLater, 0};
      case 3:
        if (!waiting_.empty()) reply_later(message[1]);
        break;
      default:
        break;
    }
    const Bytes reply = make_reply(message[2]);
    std::copy(reply.begin(), reply.end(), out.begin());
    return {TcpFront::Outcome::kReply, reply.size()};
  }

  // The model's reading of the stream: the next whole message, if it is DNS so far.
  std::optional<Octets> next_message() const {
    const Octets rest = Octets(stream_).subspan(stream_at_);
    if (rest.size() < 2) return std::nullopt;
    const std::size_t size = rest[0] * std::size_t{256} + rest[1];
    if (size < kHeader || size > rest.size() - 2) return std::nullopt;
    return rest.subspan(2, size);
  }
  bool is_nonsense() const {
    const Octets rest = Octets(stream_).subspan(stream_at_);
    return rest.size() >= 2 && rest[0] == 0 && rest[1] < kHeader;
  }
  bool is_over() const { return is_abandoned_ || is_nonsense(); }

  // What goes to the client next, behind what went before.
  Bytes make_reply(std::size_t choice) {
    constexpr std::size_t kSizes[] = {kHeader, 100, 512, 4'096, 16'384, 65'535, 0, 1};
    const std::size_t wanted = kSizes[(choice + size_choice_) % 8];
    const std::size_t size = expected_.size() + wanted > most_ ? kHeader : wanted;
    Bytes reply(size, static_cast<std::uint8_t>(++serial_));
    expected_.push_back(static_cast<std::uint8_t>(size >> 8));
    expected_.push_back(static_cast<std::uint8_t>(size));
    expected_.insert(expected_.end(), reply.begin(), reply.end());
    return reply;
  }

  // Ends one that waits, or sends a part of its reply, or gives it up.
  void reply_later(std::size_t choice) {
    if (waiting_.empty()) return;
    const auto chosen = waiting_.begin() + static_cast<std::ptrdiff_t>(choice % waiting_.size());
    const bool is_part = choice % 7 == 6 && chosen->parts < 4;
    const net::Asker asker = chosen->asker;
    if (is_part) {
      ++chosen->parts;
    } else {
      waiting_.erase(chosen);
    }
    if (choice == 31) {
      is_abandoned_ = true;
      return front_.abandon(asker);
    }
    front_.send(asker, make_reply(choice), !is_part);
  }

  // ---- what must hold

  void check_open() {
    HAR_ASSERT(front_.connections() <= 1);
    if (front_.connections() == 1) return;
    // All is said, or the client has gone.
    HAR_ASSERT(is_shut_ && waiting_.empty() && (is_over() || !next_message()));
  }

  void end() {
    const auto hear_all = [this] {
      for (int i = 0; i < 64 && !is_ended_ && received_ < expected_.size(); ++i) receive(65'536);
    };
    // Replies to all, and everything is read: all whole messages are handled then.
    until([&] {
      hear_all();
      if (!waiting_.empty()) reply_later(0);
      return waiting_.empty() && (is_over() || !next_message()) && received_ == expected_.size();
    });
    HAR_ASSERT(is_shut_ || is_over() || (front_.connections() == 1 && !is_ended_));
    if (is_shut_ || is_over()) {
      until([this] {
        if (!is_ended_) receive(1);
        return is_ended_;
      });
    }
    // Reset instead of TIME_WAIT: there are few ports.
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(client_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client_.reset();
    until([this] { return front_.connections() == 0; });
  }

  void check_end() const { HAR_ASSERT(received_ == expected_.size() && waiting_.empty()); }

  static Bytes::const_iterator at(const Bytes& bytes, std::size_t place) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(place);
  }

  Server& server_;
  TcpFront& front_;
  Input input_;
  TcpFront::Limits limits_;
  std::size_t size_choice_ = 0;
  std::size_t most_ = kFew;
  net::Fd client_;
  Bytes stream_;               // what the client has sent
  std::size_t stream_at_ = 0;  // the first octet of it that was not handled
  Bytes expected_;             // what was replied
  std::size_t received_ = 0;   // octets of that
  std::vector<Waiting> waiting_;
  std::size_t serial_ = 0;
  bool is_shut_ = false;
  bool is_abandoned_ = false;
  bool is_ended_ = false;
};

}  // namespace
}  // namespace har::front

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto* const server = new har::front::Server;  // never destroyed: at exit its loop may be gone before it
  har::front::World(*server, {data, std::min<std::size_t>(size, 400)}).run();
  return 0;
}
