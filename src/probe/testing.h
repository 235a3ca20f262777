// For the tests of this folder: small servers on loopback that behave as they are told, and one probe at a time.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/log.h"
#include "net/clock.h"
#include "net/fd.h"
#include "net/sockaddr.h"
#include "probe/prober.h"

namespace har::probe::testing {

inline IpAddress loopback(Family family = Family::kV4) {
  return *IpAddress::parse(family == Family::kV4 ? "127.0.0.1" : "::1");
}

// A connection as the server's thread sees it. Ends when the server does.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  int fd() const { return fd_; }
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  // What comes until `end` has come (or the connection ends).
  std::string read_until(std::string_view end) const {
    std::string all;
    char c = 0;
    while (all.find(end) == all.npos && recv(fd_, &c, 1, 0) == 1) all += c;
    return all;
  }
  std::string read_head() const { return read_until("\r\n\r\n"); }
  // Reads to the end: 0 for an orderly one, else the errno.
  int read_end() const {
    char buffer[4096];
    ssize_t n = 0;
    while ((n = recv(fd_, buffer, sizeof buffer, 0)) > 0) {
    }
    return n == 0 ? 0 : errno;
  }
  void reset() const {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }

 private:
  int fd_;
};

class Server {
 public:
  using Behaviour = std::function<void(const Peer&)>;

  explicit Server(Behaviour behaviour, Family family = Family::kV4) : behaviour_(std::move(behaviour)) {
    net::SocketAddress address(IpPort{.ip = loopback(family)});
    listener_ = net::Fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    socklen_t size = address.size();
    if (bind(listener_.get(), &address.generic, size) != 0 || listen(listener_.get(), 1'000) != 0) std::abort();
    getsockname(listener_.get(), &address.generic, &size);
    port_ = address.to_ip_port().port;
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~Server() {
    shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& t : threads_) t.join();
  }

  std::uint16_t port() const { return port_; }
  int connections() const {
    const std::lock_guard lock(mutex_);
    return connections_;
  }

 private:
  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const std::lock_guard lock(mutex_);
      ++connections_;
      open_.push_back(fd);
      threads_.emplace_back([this, fd] {
        behaviour_(Peer(fd));
        const std::lock_guard closing(mutex_);
        std::erase(open_, fd);
        ::close(fd);
      });
    }
  }

  Behaviour behaviour_;
  net::Fd listener_;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> threads_;  // of acceptor_ until it is joined
  mutable std::mutex mutex_;
  std::vector<int> open_;
  int connections_ = 0;
};

inline Server::Behaviour answers(std::string response) {
  return [response](const Peer& peer) {
    peer.read_head();
    peer.send(response);
    shutdown(peer.fd(), SHUT_WR);
    peer.read_end();
  };
}

// A target whose check can still be changed.
struct Target {
  config::Check check;
  IpAddress address;
  operator health::CheckTarget() const { return {check, address}; }
};

inline Target target(config::CheckMethod method, std::uint16_t port, IpAddress address = loopback()) {
  Target t;
  t.check.method = method;
  t.check.host = "api.example.test";
  t.check.port = port;
  t.address = address;
  return t;
}

// The first observation of a target.
struct Single {
  std::optional<health::Observation> observation;
  Duration took{};
  health::Outcome outcome() const { return observation->outcome; }
  std::string reason() const { return std::string(observation->reason); }
};

inline Single probe_once(const health::CheckTarget& t, Duration patience = std::chrono::seconds(20)) {
  net::Loop loop;
  const Log log("", LogLevel::kError);
  Single single;
  const Instant start = net::now();
  Prober prober(loop, log, {}, 1, [&](health::CheckId, const health::Observation& o) {
    if (single.observation) return;
    single.observation = o;
    loop.stop();
  });
  net::Timer end(loop, [&] { loop.stop(); });
  end.set(patience);
  prober.add(1, t, {});
  loop.run();
  single.took = net::now() - start;
  if (!single.observation) throw std::runtime_error("no observation came");
  // A little longer, so that what is to be closed is closed.
  net::Timer more(loop, [&] { loop.stop(); });
  prober.remove(1);
  more.set(std::chrono::milliseconds(5));
  loop.run();
  return single;
}

}  // namespace har::probe::testing
