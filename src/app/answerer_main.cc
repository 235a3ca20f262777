// hard-answerer: the data plane. Started by the keeper, which passes sockets and memory over descriptor 3.
// This thread only talks to the keeper; the workers answer.
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "app/answerer_rights.h"
#include "app/messages.h"
#include "app/precedence.h"
#include "app/process.h"
#include "app/worker.h"
#include "base/log.h"
#include "net/clock.h"
#include "net/memory.h"

namespace har::app {
namespace {

using std::chrono::milliseconds;

constexpr int kBeatEveryMs = 1000;
constexpr Duration kWorkerSilence = std::chrono::seconds(5);  // then we stop to beat, and the keeper replaces us
constexpr Duration kGrace = milliseconds(800);                // SEMANTICS "Operating": then SERVFAIL with EDE 14
constexpr int kEndOfGraceMs = 900;
constexpr Duration kGraceForConnections = std::chrono::seconds(30);  // when a successor serves already

class Answerer {
 public:
  explicit Answerer(Log& log) : log_(log), rights_(log), keeper_(net::Fd(kChannelFd)), filter_(answerer_filter()) {
    shared_.log = &log;
    if (prepare_precedence()) {
      shared_.ask_to_go_first = [this](pid_t thread) {
        keeper_.send(kGoFirst, net::Packer().number(static_cast<std::uint64_t>(thread)).body(), {}, 0);
      };
    }
    shared_.upstream_looping = [this](const IpPort& upstream) {
      log_.error("upstream_is_us",
                 {{"upstream", upstream.to_string()}, {"hint", "it leads back to this daemon and is not asked"}});
      for (const auto& worker : workers_) worker->upstream_is_looping(upstream);
    };
  }

  int run();

 private:
  void take_sockets(net::Message& message);
  bool serve(net::Message& message);
  void stop();
  void leave_to_successor();
  void beat();

  Log& log_;
  const Rights rights_;
  net::Channel keeper_;
  Worker::Shared shared_;
  std::vector<std::unique_ptr<Worker>> workers_;  // fixed once the first table was served
  std::vector<std::vector<net::Fd>> sockets_;     // an address each: UDP a worker, then TCP
  Instant next_beat_{};
  Filter filter_;  // made while we wait for our first order, loaded with it
};

int Answerer::run() {
  if (getrandom(shared_.loop_secret.data(), shared_.loop_secret.size(), 0) < 0) return 1;
  net::Message message;
  for (;;) {
    beat();
    switch (keeper_.receive(message, kBeatEveryMs)) {
      case net::Channel::Status::kNothing:
        continue;
      case net::Channel::Status::kClosed:
        _exit(0);  // the keeper is gone, and so are we in a moment
      case net::Channel::Status::kMessage:
        break;
    }
    switch (message.type) {
      case kSockets:
        take_sockets(message);
        break;
      case kServe:
        // At once: the workers run on and would never be joined. The successor gets everything anew.
        if (!serve(message)) _exit(1);
        break;
      case kStop:
        if (net::Unpacker fields(message.body); fields.number() == 1) leave_to_successor();
        stop();
        return 0;
      default:
        log_.error("unknown_message", {{"type", message.type}});
    }
  }
}

void Answerer::beat() {
  const Instant now = net::now();
  if (now < next_beat_) return;
  next_beat_ = now + milliseconds(kBeatEveryMs);
  const bool all_live = std::all_of(workers_.begin(), workers_.end(),
                                    [now](const auto& worker) { return now - worker->last_beat() < kWorkerSilence; });
  if (all_live) keeper_.send(kBeat);
}

void Answerer::take_sockets(net::Message& message) { sockets_.push_back(std::move(message.fds)); }

bool Answerer::serve(net::Message& message) {
  net::Unpacker fields(message.body);
  const std::uint64_t generation = fields.number();
  const auto worker_count = static_cast<std::uint32_t>(fields.number());
  const auto names = static_cast<std::uint32_t>(fields.number());
  const std::uint64_t log_level = fields.number();
  const std::string user = fields.text();
  if (!fields.ok() || message.fds.size() != 2) {
    log_.error("sockets_refused", {{"reason", "malformed, or no descriptor is free"}});
    return false;
  }
  auto table_memory = net::Mapping::map(message.fds[0], net::Mapping::Mode::kReadOnly);
  auto counters_memory = net::Mapping::map(message.fds[1], net::Mapping::Mode::kReadWrite);
  if (!table_memory || !counters_memory) {
    log_.error("table_not_mapped");
    return false;
  }
  auto reader = table::Reader::open(table_memory->bytes());
  if (!reader) {
    log_.error("table_refused", {{"reason", reader.error().message}});
    return false;
  }
  const table::Counters counters(counters_memory->bytes(), worker_count, names);
  const auto serving = std::make_shared<const Serving>(
      Serving{generation, std::move(*table_memory), std::move(*counters_memory), *reader, counters});
  log_.set_level(static_cast<LogLevel>(log_level));
  if (workers_.empty()) {
    if (const auto became = drop_answerer_rights(user, worker_count, rights_); !became) {
      log_.error("cannot_start", {{"reason", became.error().message}});
      return false;
    }
    shared_.workers = std::max(worker_count, 1U);
    for (std::uint32_t i = 0; i < worker_count; ++i) workers_.push_back(std::make_unique<Worker>(i, shared_));
    seal_answerer(filter_, rights_);
    malloc_trim(0);  // what the filter was built of
  }
  std::vector<Worker::Assignment> assignments(workers_.size());
  for (Worker::Assignment& assignment : assignments) assignment.serving = serving;
  for (auto& address : sockets_) {
    bool is_whole = address.size() > workers_.size();
    for (std::size_t i = 0; is_whole && i < workers_.size(); ++i) {
      assignments[i].udp.push_back(std::move(address[i]));
      assignments[i].tcp.emplace_back(dup_cloexec(address.back()));
      is_whole = static_cast<bool>(assignments[i].tcp.back());
    }
    if (is_whole) continue;
    // The keeper counts before it sends (answerer_descriptors.h), but more sockets towards upstreams may be open than
    // it counts.
    log_.error("sockets_refused", {{"reason", "those of an address did not arrive whole, or no descriptor is free"}});
    return false;
  }
  auto waiting = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->assign(std::move(assignments[i]), [this, waiting, generation] {
      if (waiting->fetch_sub(1) == 1) keeper_.send(kServing, net::Packer().number(generation).body());
    });
  }
  sockets_.clear();
  return true;
}

void Answerer::leave_to_successor() {
  auto waiting = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (const auto& worker : workers_) worker->leave([waiting] { waiting->fetch_sub(1); });
  const Instant deadline = net::now() + kGraceForConnections;
  while (waiting->load() > 0 && net::now() < deadline) {
    net::Message message;
    if (keeper_.receive(message, 20) == net::Channel::Status::kClosed) _exit(0);
    if (message.type == kStop) return;  // now it is meant for all
  }
}

void Answerer::stop() {
  auto waiting = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (const auto& worker : workers_) worker->stop(kGrace, [waiting] { waiting->fetch_sub(1); });
  // A worker that hangs must not keep the daemon from ending.
  const Instant deadline = net::now() + milliseconds(kEndOfGraceMs);
  while (waiting->load() > 0 && net::now() < deadline) wait_ms(2);
  if (waiting->load() > 0) _exit(1);
}

}  // namespace
}  // namespace har::app

int main() {
  har::app::prepare_child_process();
  har::Log log("answerer");
  return har::app::Answerer(log).run();
}
