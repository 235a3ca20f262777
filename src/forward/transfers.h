// Zone transfers: each has an upstream connection of its own and is relayed message by message until it ends, with the
// client's ID put back into each. One that is refused, breaks or answers badly before its first good message goes to
// the next upstream; after that there is no second source for the rest of a zone. An upstream that has accepted the
// connection lives, however long it needs for the first message, and whether it gives the zone or not. Source:
// SEMANTICS "Answering" 6; RFC 5936, RFC 1995.  Thread: one worker.  Tested by: forwarder_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "forward/forwarder.h"
#include "forward/random.h"
#include "net/fd.h"
#include "net/loop.h"
#include "upstream/choice.h"
#include "upstream/places.h"
#include "upstream/transfer_end.h"

namespace har::forward {

class Transfers {
 public:
  using Backlog = std::function<std::optional<std::size_t>(const net::Asker&)>;

  // All references live longer.
  Transfers(net::Loop& loop, Random& random, const upstream::Places& places, upstream::Choice& choice,
            const Options& options, Stats& stats, Forwarder::Done done, const Backlog& backlog);
  ~Transfers();

  void start(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag);
  void end_all();
  std::size_t running() const { return running_.size(); }

 private:
  static constexpr std::size_t kPauseAt = 256 * 1024;
  static constexpr std::size_t kGoOnAt = 128 * 1024;
  static constexpr std::size_t kBuffer = 2 + 65'535;
  struct Transfer {
    net::Asker asker;
    std::uint32_t tag = 0;
    std::vector<std::uint8_t> query;  // as the client sent it
    std::vector<std::uint8_t> out;    // what is to be sent: two octets of length, then the query with our ID
    std::size_t out_done = 0;
    std::vector<std::uint8_t> bad_reply;  // the first bad one
    upstream::PlaceSet asked = 0;
    upstream::Place place = 0;
    bool connecting = false;
    bool begun = false;  // a message has gone to the client
    bool paused = false;
    Instant sent{};        // when the connection was begun
    Duration handshake{};  // counts as the RTT: the first message's time is the zone's, not the way's
    upstream::TransferEnd end;
    net::Fd fd;
    std::optional<net::Watch> watch;
    std::optional<net::Timer> timer;
    Instant deadline{};  // the timer looks more often than that, whether the client is still there
    std::unique_ptr<std::uint8_t[]> in;
    std::size_t in_size = 0;

    explicit Transfer(std::span<const std::uint8_t> q) : query(q.begin(), q.end()), end(q) {}
  };

  void try_next(Transfer& t);  // may end it
  bool connect_to(Transfer& t, upstream::Place place, Instant now);
  void ready(Transfer& t, net::Watch::Interest what);
  void fail(Transfer& t);  // ends it or goes on with the next upstream
  void read(Transfer& t);
  bool relay(Transfer& t, std::span<std::uint8_t> message);  // false: it has ended or gone to the next upstream
  bool has_left(const Transfer& t) const { return backlog_ && !backlog_(t.asker); }  // the client
  void pause_or_go_on(Transfer& t);
  void wait(Transfer& t, Duration at_most);
  void on_timer(Transfer& t);
  void finish(Transfer& t, Ending ending, std::span<const std::uint8_t> reply);

  // fixed after construction
  net::Loop& loop_;
  Random& random_;
  const upstream::Places& places_;
  upstream::Choice& choice_;
  const Options& options_;
  Stats& stats_;
  Forwarder::Done done_;
  const Backlog& backlog_;
  // owned by this thread
  std::vector<std::unique_ptr<Transfer>> running_;
};

}  // namespace har::forward
