// How a configuration comes to be served: the checker asks for addresses and memory (prepare), fills the table and says
// commit; then the answerer gets sockets and table. messages.h shows the messages.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "app/answerer_descriptors.h"
#include "app/keeper_impl.h"
#include "app/keeper_rights.h"
#include "app/process.h"
#include "net/clock.h"
#include "net/memory.h"

namespace har::app {
namespace {

// What a commit and what may follow it need at once: the bundle, the table's read-only descriptor, and both ends of the
// channel of a child that has to be started again.
constexpr std::size_t kFilesOfACommit = 4;

}  // namespace

void Keeper::prepare(const net::Message& message) {
  pending_.reset();  // of a request that its checker has given up: its addresses may be wanted again
  Prepare wanted;
  if (!Prepare::unpack(message.body, wanted)) return refuse("malformed request");
  // Who the children become was decided when the operator's file was first read. A checker that hostile bytes have
  // taken over must not be able to have its successor, or the answerer's, started as somebody else.
  if (active_ && wanted.user != active_->user) {
    log_.error("prepare_refused", {{"reason", "another user"}, {"user", wanted.user}});
    return refuse("the user stays until a restart");
  }
  const auto is_needed = [](const Prepare::Address& address) { return !address.optional; };
  const auto least = std::count_if(wanted.addresses.begin(), wanted.addresses.end(), is_needed);
  if (const auto can = answerer_can_hold(static_cast<std::size_t>(least), wanted.workers); !can) {
    return refuse(can.error().message);
  }
  auto set = make_listen_set(wanted, active_ ? &*active_ : nullptr, log_, [this] { return may_bind_again(); });
  if (!set) return refuse(set.error().message);
  if (const auto can = answerer_can_hold(set->bound.size(), wanted.workers); !can) return refuse(can.error().message);
  // Now: a commit that cannot be taken is too late, its checker has gone over to the new table.
  if (const auto room = try_to_open(kFilesOfACommit); !room) return refuse(room.error().message);
  pending_ = std::move(*set);
  checker_.channel().send(kPrepared, {}, {pending_->table.get(), pending_->counters.get()}, kSendPatienceMs);
}

// Else it would end with each set of sockets that it is sent.
Result<void> Keeper::answerer_can_hold(std::size_t addresses, std::uint32_t workers) const {
  const std::size_t served = active_ ? active_->bound.size() : 0;
  const std::uint64_t needed = answerer_descriptors(workers, served, addresses);
  const std::uint64_t allowed = open_files_allowed();  // to it as to us
  if (needed <= allowed) return {};
  const std::string beside = served > 0 ? fmt::format(" beside the {} it serves", served) : "";
  return failure(
      fmt::format("with {} addresses{} and workers = {} the answerer needs {} open files, and RLIMIT_NOFILE allows {}",
                  addresses, beside, workers, needed, allowed));
}

void Keeper::refuse(const std::string& reason) {
  checker_.channel().send(kRefused, net::Packer().text(reason).body(), {}, kSendPatienceMs);
}

// Only at the start, when nobody waits for the keeper: the port of a daemon that has just died.
bool Keeper::may_bind_again() {
  if (active_ || net::now() >= bind_until_) return false;
  wait_ms(50);
  // Whatever else has come, a reload or the death of a child, stays pending and is served afterwards.
  sigset_t pending;
  return sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 0 && sigismember(&pending, SIGINT) == 0;
}

void Keeper::commit(net::Message& message) {
  net::Unpacker fields(message.body);
  const std::uint64_t generation = fields.number();
  if (!pending_ || !fields.ok() || message.fds.size() != 1) {
    const bool is_cut = pending_ && fields.ok() && message.fds.empty();
    log_.error("unexpected_commit", {{"reason", is_cut ? "no descriptor is free" : "not prepared, or malformed"}});
    // It writes to a table that nobody serves. Its successor starts from the one that is served, and follows the reload
    // that this one says to be over: so nothing more of it is read.
    checker_.kill_now();
    checker_.channel().close();
    return;
  }
  if (active_) retiring_.push_back(std::move(*active_));
  active_ = std::move(pending_);
  pending_.reset();
  bundle_ = std::move(message.fds.front());
  generation_ = generation;
  log_.set_level(active_->log_level);
  if (answerer_->running()) send_sockets();
  drop_rights();
}

// Once the first sockets are bound.
void Keeper::drop_rights() {
  if (std::exchange(rights_dropped_, true)) return;
  drop_keeper_rights(active_->user, {checker_.program(), answerer_->program()}, Rights(log_));
}

void Keeper::send_sockets() {
  const auto read_only = net::reopen_read_only(active_->table);
  if (!read_only) log_.warning("table_not_read_only", {{"reason", read_only.error().message}});
  bool sent = true;
  for (const auto& bound : active_->bound) {
    std::vector<int> fds;
    for (const net::Fd& udp : bound->udp) fds.push_back(udp.get());
    fds.push_back(bound->tcp.get());
    sent = sent && answerer_->channel().send(kSockets, {}, fds, kSendPatienceMs);
  }
  const auto body = net::Packer()
                        .number(generation_)
                        .number(active_->workers)
                        .number(active_->names)
                        .number(static_cast<std::uint64_t>(active_->log_level))
                        .text(active_->user)
                        .body();
  const int table = read_only ? read_only->get() : active_->table.get();
  sent = sent && answerer_->channel().send(kServe, body, {table, active_->counters.get()}, kSendPatienceMs);
  if (sent) return;
  // It would go on with what is old. Its successor gets the whole of the new; queries wait in the sockets meanwhile.
  log_.error("process_hung", {{"process", "answerer"}, {"reason", "it does not take its sockets"}});
  answerer_->kill_now();
}

}  // namespace har::app
