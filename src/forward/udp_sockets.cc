#include "forward/udp_sockets.h"

#include <sys/epoll.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "net/sockaddr.h"

namespace har::forward {

using upstream::Place;

namespace {

constexpr std::size_t kPage = 4096;

}  // namespace

UdpSockets::UdpSockets(net::Loop& loop, Pending& pending, Random& random, std::uint32_t slots, Received received,
                       Refused refused, Unsent unsent, Served served)
    : pending_(pending),
      random_(random),
      slot_count_(std::max(slots, 1U)),
      received_(std::move(received)),
      refused_(std::move(refused)),
      unsent_(std::move(unsent)),
      served_(std::move(served)),
      slots_(upstream::kMaxPlaces * slot_count_, kNone),
      buffers_(std::make_unique_for_overwrite<std::uint8_t[]>(kBatch * kDatagram)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  HAR_ASSERT(epoll_);
  sockets_.reserve(2 * slot_count_);
  free_.reserve(2 * slot_count_);
  refusals_.reserve(2 * slot_count_);
  failed_.reserve(4 * kBatch);
  for (unsigned i = 0; i < kBatch; ++i) {
    vectors_[i] = iovec{buffers_.get() + i * kDatagram, kDatagram};
    headers_[i].msg_hdr.msg_iov = &vectors_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
  }
  watch_.emplace(loop, epoll_.get(), net::Watch::kRead, [this](net::Watch::Interest) { serve(); });
}

void UdpSockets::set_upstream(Place place, const IpPort& address) {
  if (addresses_[place] == address) return;
  retire_all(place);
  addresses_[place] = address;
}

std::uint32_t UdpSockets::open_socket(Place place, std::uint32_t slot, Instant now) {
  const net::SocketAddress to(addresses_[place]);
  net::Fd fd(socket(to.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd || connect(fd.get(), &to.generic, to.size()) != 0) return kNone;
  std::uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(sockets_.size());
    sockets_.emplace_back();
    free_.reserve(sockets_.capacity());
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Socket& s = sockets_[index];
  s.serial = ++serial_;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<std::uint64_t>(s.serial) << 32 | index;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) {
    free_.push_back(index);
    return kNone;
  }
  s.fd = std::move(fd);
  s.channel = pending_.open_channel(index, false);
  s.uses = 0;
  s.place = place;
  s.slot = slot;
  s.opened = now;
  slot_of(place, slot) = index;
  ++open_;
  return index;
}

void UdpSockets::close_socket(std::uint32_t index) {
  Socket& s = sockets_[index];
  pending_.close_channel(s.channel);
  s.fd.reset();  // leaves epoll with it
  s.serial = 0;
  s.channel = kNone;
  free_.push_back(index);
  --open_;
}

void UdpSockets::retire_socket(std::uint32_t index) {
  Socket& s = sockets_[index];
  if (s.slot == kNone) return;
  slot_of(s.place, s.slot) = kNone;
  s.slot = kNone;
  pending_.channel(s.channel).retired = true;
  close_if_done(s.channel);
}

void UdpSockets::retire(std::uint32_t channel) { retire_socket(pending_.channel(channel).owner); }

void UdpSockets::retire_all(Place place) {
  for (std::uint32_t slot = 0; slot < slot_count_; ++slot) {
    if (slot_of(place, slot) != kNone) retire_socket(slot_of(place, slot));
  }
}

void UdpSockets::close_if_done(std::uint32_t channel) {
  const Channel& c = pending_.channel(channel);
  if (c.retired && c.outstanding == 0) close_socket(c.owner);
}

void UdpSockets::sweep(Instant now) {
  for (std::uint32_t& slot : slots_) {
    if (slot == kNone || now - sockets_[slot].opened < kSocketAge) continue;
    retire_socket(slot);
  }
}

UdpSockets::Socket* UdpSockets::socket_for(Place place, std::uint32_t slot, Instant now) {
  std::uint32_t index = slot_of(place, slot);
  if (index != kNone && (sockets_[index].uses >= kSocketUses || now - sockets_[index].opened >= kSocketAge)) {
    // The new one first: where there is no descriptor left, the old one is better than none.
    const std::uint32_t fresh = open_socket(place, slot, now);
    if (fresh == kNone) return &sockets_[index];
    sockets_[index].slot = kNone;
    pending_.channel(sockets_[index].channel).retired = true;
    close_if_done(sockets_[index].channel);
    index = fresh;
  }
  if (index == kNone) index = open_socket(place, slot, now);
  for (std::uint32_t other = 0; index == kNone && other < slot_count_; ++other) index = slot_of(place, other);
  return index == kNone ? nullptr : &sockets_[index];
}

// Outstanding are at most some thousand of 65,536: a second draw is rare, the sixteenth does not happen.
std::optional<std::uint16_t> UdpSockets::unused_id(std::uint32_t channel) {
  for (int draw = 0; draw < 16; ++draw) {
    const std::uint16_t id = random_.u16();
    if (pending_.find(channel, id) == kNone) return id;
  }
  return std::nullopt;
}

bool UdpSockets::queue(Place place, std::uint32_t ref, Instant now) {
  if (queued_count_ == queued_.size()) send_queued();
  if (queued_count_ == 0) turn_slot_ = random_.below(slot_count_);
  Socket* s = socket_for(place, turn_slot_, now);
  if (s == nullptr) return false;
  const auto id = unused_id(s->channel);
  if (!id) return false;
  ++s->uses;
  pending_.link(s->channel, ref, *id);
  queued_[queued_count_++] = {ref,
                              static_cast<std::uint32_t>(s - sockets_.data()),
                              s->serial,
                              {static_cast<std::uint8_t>(*id >> 8), static_cast<std::uint8_t>(*id)}};
  return true;
}

// Not, when its query has ended meanwhile: the client's time was up, or too many were in flight.
bool UdpSockets::waits(const Queued& queued) {
  const Socket& s = sockets_[queued.socket];
  const Handle& h = pending_.handle(queued.ref);
  return s.serial == queued.serial && h.channel == s.channel && h.id == (queued.id[0] << 8 | queued.id[1]);
}

void UdpSockets::send_queued() {
  for (std::size_t next = 0; next < queued_count_;) next += send_some(next);
  queued_count_ = 0;
}

// What could not be sent is told here only, at the end of a turn: whoever queues is in the middle of a query, or walks
// over many, which must not end under his hands.
void UdpSockets::flush() {
  send_queued();
  while (!failed_.empty()) {  // the callee may queue more
    const Queued failed = failed_.back();
    failed_.pop_back();
    if (!waits(failed)) continue;
    pending_.unlink(failed.ref);
    close_if_done(sockets_[failed.socket].channel);
    unsent_(failed.ref);
  }
}

namespace {

// After a failed send. ENETUNREACH, EHOSTUNREACH, EINVAL, EPERM …: a connected socket keeps the source address that it
// was born with; after a change of routes only a new one can get through.
bool says_stale(int error) { return error != EAGAIN && error != ENOBUFS && error != EMSGSIZE && error != ECONNREFUSED; }

}  // namespace

// Sends what is queued from `first` on for one socket, or puts the first of it among the failed, which stay linked
// until they are told; how many that were.
std::size_t UdpSockets::send_some(std::size_t first) {
  if (!waits(queued_[first])) return 1;
  const std::uint32_t socket = queued_[first].socket;
  std::size_t count = 0;
  for (std::size_t at = first; at < queued_count_ && queued_[at].socket == socket && waits(queued_[at]); ++at) {
    const std::span<std::uint8_t> query = pending_.at(Pending::record_of(queued_[at].ref)).query();
    out_parts_[2 * count] = {queued_[at].id.data(), queued_[at].id.size()};
    out_parts_[2 * count + 1] = {query.data() + 2, query.size() - 2};
    out_[count].msg_hdr.msg_iov = &out_parts_[2 * count];
    out_[count].msg_hdr.msg_iovlen = 2;
    ++count;
  }
  const int fd = sockets_[socket].fd.get();
  int sent = sendmmsg(fd, out_.data(), static_cast<unsigned>(count), MSG_NOSIGNAL);
  if (sent < 0 && errno == ECONNREFUSED) {
    // Reported once, for an earlier datagram; these have not been sent.
    note_refusal(socket, queued_[first].serial);
    sent = sendmmsg(fd, out_.data(), static_cast<unsigned>(count), MSG_NOSIGNAL);
  }
  if (sent > 0) return static_cast<std::size_t>(sent);
  if (says_stale(errno) && sockets_[socket].slot != kNone) retire_socket(socket);
  failed_.push_back(queued_[first]);
  return 1;
}

bool UdpSockets::send(Place place, std::uint32_t ref, Instant now) {
  const std::uint32_t slot = random_.below(slot_count_);
  // The second round stays at the slot, for the new socket there: those of the other slots may be as stale.
  for (int round = 0; round < 2; ++round) {
    Socket* s = socket_for(place, slot, now);
    if (s == nullptr) return false;
    const auto id = unused_id(s->channel);
    if (!id) return false;
    const std::span<std::uint8_t> query = pending_.at(Pending::record_of(ref)).query();
    query[0] = static_cast<std::uint8_t>(*id >> 8);
    query[1] = static_cast<std::uint8_t>(*id);
    const auto index = static_cast<std::uint32_t>(s - sockets_.data());
    ssize_t sent = ::send(s->fd.get(), query.data(), query.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == ECONNREFUSED) {
      note_refusal(index, s->serial);
      sent = ::send(s->fd.get(), query.data(), query.size(), MSG_NOSIGNAL);
    }
    if (sent >= 0) {
      ++s->uses;
      pending_.link(s->channel, ref, *id);
      return true;
    }
    if (!says_stale(errno) || s->slot == kNone) return false;
    retire_socket(index);
  }
  return false;
}

// One of them concerns all that is outstanding on its socket, as the others of this turn would.
void UdpSockets::note_refusal(std::uint32_t socket, std::uint32_t serial) {
  if (!refusals_.empty() && refusals_.back().socket == socket && refusals_.back().serial == serial) return;
  refusals_.push_back({socket, serial});
}

void UdpSockets::refusals() {
  // The callee sends again and may add to the list; bounded by what was there at first, the rest waits for the next
  // call.
  const std::size_t count = refusals_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Refusal refusal = refusals_[i];
    const Socket& s = sockets_[refusal.socket];
    if (s.serial == refusal.serial) refused_(s.channel);
  }
  refusals_.erase(refusals_.begin(), refusals_.begin() + static_cast<std::ptrdiff_t>(count));
}

void UdpSockets::serve() {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
    drain(static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(data >> 32));
  }
  served_();
}

// Gives the whole pages behind the first of a datagram's room back to the system: large ones are rare, or hostile.
void UdpSockets::release_large(std::size_t at) {
  std::uint8_t* const room = buffers_.get() + at * kDatagram;
  const std::size_t to_page = (kPage - reinterpret_cast<std::uintptr_t>(room) % kPage) % kPage;
  const std::size_t first = to_page + kPage;
  madvise(room + first, (kDatagram - first) / kPage * kPage, MADV_DONTNEED);
}

void UdpSockets::drain(std::uint32_t index, std::uint32_t serial) {
  // Two full rounds, then the other sockets have their turn: what is left is reported again.
  for (int round = 0; round < 2; ++round) {
    if (sockets_[index].serial != serial) return;
    const int got = recvmmsg(sockets_[index].fd.get(), headers_.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      const std::uint32_t channel = sockets_[index].channel;
      if (errno != ECONNREFUSED) retire_socket(index);
      if (sockets_[index].serial == serial) refused_(channel);
      return;
    }
    for (int i = 0; i < got; ++i) {
      // A reply may have closed the socket (a retired one whose last query it was); what came with it is lost with it.
      if (sockets_[index].serial != serial) return;
      const auto at = static_cast<std::size_t>(i);
      received_(sockets_[index].channel, {buffers_.get() + at * kDatagram, headers_[at].msg_len});
      if (headers_[at].msg_len > kPage) release_large(at);
    }
    if (static_cast<unsigned>(got) < kBatch) return;
  }
}

}  // namespace har::forward
