#include "forward/pending.h"

#include <algorithm>

#include "base/assert.h"

namespace har::forward {

namespace {

// `octets = {}` would keep the room.
void give_back(std::vector<std::uint8_t>& octets) { std::vector<std::uint8_t>().swap(octets); }

}  // namespace

static_assert(~kNone == 0);

Pending::Pending() : buckets_(static_cast<std::uint32_t*>(std::calloc(kBuckets, sizeof(std::uint32_t)))) {
  HAR_ASSERT(buckets_);
}

void Pending::append(std::uint32_t record, Record::State state) {
  Record& r = at(record);
  List& list = lists_[index(state)];
  r.state = state;
  r.older = list.newest;
  r.newer = kNone;
  (list.newest == kNone ? list.oldest : at(list.newest).newer) = record;
  list.newest = record;
  ++list.count;
}

void Pending::remove(std::uint32_t record) {
  Record& r = at(record);
  List& list = lists_[index(r.state)];
  (r.older == kNone ? list.oldest : at(r.older).newer) = r.newer;
  (r.newer == kNone ? list.newest : at(r.newer).older) = r.older;
  --list.count;
}

std::uint32_t Pending::take(Record::State state) {
  List& free = lists_[index(Record::State::kFree)];
  if (free.count == 0) {
    const auto first = static_cast<std::uint32_t>(blocks_.size()) * kBlock;
    blocks_.push_back(std::make_unique<Record[]>(kBlock));
    if (heap_.capacity() < blocks_.size() * kBlock) heap_.reserve(2 * blocks_.size() * kBlock);
    for (std::uint32_t i = 0; i < kBlock; ++i) append(first + kBlock - 1 - i, Record::State::kFree);
  }
  const std::uint32_t record = free.newest;
  remove(record);
  append(record, state);
  return record;
}

void Pending::move(std::uint32_t record, Record::State state) {
  remove(record);
  append(record, state);
}

void Pending::release(std::uint32_t record) {
  Record& r = at(record);
  HAR_ASSERT(r.linked == 0 && r.state != Record::State::kFree);
  set_wake(record, kNever);
  constexpr std::size_t kWorthKeeping = kInlineQuery;
  held_ -= r.big_query.size() + r.bad_reply.size();
  if (!r.big_query.empty()) give_back(r.big_query);
  r.bad_reply.clear();
  if (r.bad_reply.capacity() > kWorthKeeping) give_back(r.bad_reply);
  move(record, Record::State::kFree);
}

bool Pending::hold(std::size_t octets) {
  if (octets > kMostHeld - held_) return false;
  held_ += octets;
  return true;
}

bool Pending::keep_query(std::uint32_t record, std::span<const std::uint8_t> query) {
  Record& r = at(record);
  if (query.size() <= kInlineQuery) {
    std::copy(query.begin(), query.end(), r.small_query.begin());
  } else if (hold(query.size())) {
    r.big_query.assign(query.begin(), query.end());
  } else {
    return false;
  }
  r.query_size = static_cast<std::uint16_t>(query.size());
  return true;
}

bool Pending::keep_bad_reply(std::uint32_t record, std::span<const std::uint8_t> reply) {
  if (!hold(reply.size())) return false;
  at(record).bad_reply.assign(reply.begin(), reply.end());
  return true;
}

std::uint32_t Pending::open_channel(std::uint32_t owner, bool tcp) {
  std::uint32_t number = 0;
  if (free_channels_.empty()) {
    number = static_cast<std::uint32_t>(channels_.size());
    channels_.emplace_back();
    free_channels_.reserve(channels_.capacity());  // so that closing never allocates
  } else {
    number = free_channels_.back();
    free_channels_.pop_back();
  }
  channels_[number] = Channel{.owner = owner, .tcp = tcp};
  return number;
}

void Pending::close_channel(std::uint32_t channel) {
  HAR_ASSERT(channels_[channel].outstanding == 0);
  free_channels_.push_back(channel);
}

void Pending::link(std::uint32_t channel, std::uint32_t ref, std::uint16_t id) {
  Handle& h = handle(ref);
  HAR_ASSERT(h.channel == kNone);
  Channel& c = channels_[channel];
  std::uint32_t& head = buckets_[bucket(channel, id)];
  h.channel = channel;
  h.id = id;
  h.hash_next = ~head;
  head = ~ref;
  h.newer = kNone;
  h.older = c.first;
  if (c.first != kNone) handle(c.first).newer = ref;
  c.first = ref;
  ++c.outstanding;
  ++at(record_of(ref)).linked;
}

void Pending::unlink(std::uint32_t ref) {
  Handle& h = handle(ref);
  HAR_ASSERT(h.channel != kNone);
  Channel& c = channels_[h.channel];
  std::uint32_t& head = buckets_[bucket(h.channel, h.id)];
  if (~head == ref) {
    head = ~h.hash_next;
  } else {
    std::uint32_t before = ~head;
    while (handle(before).hash_next != ref) before = handle(before).hash_next;
    handle(before).hash_next = h.hash_next;
  }
  (h.newer == kNone ? c.first : handle(h.newer).older) = h.older;
  if (h.older != kNone) handle(h.older).newer = h.newer;
  if (c.known == ref) c.known = h.older;
  h.channel = kNone;
  --c.outstanding;
  --at(record_of(ref)).linked;
}

std::uint32_t Pending::find(std::uint32_t channel, std::uint16_t id) {
  std::uint32_t ref = ~buckets_[bucket(channel, id)];
  while (ref != kNone) {
    const Handle& h = handle(ref);
    if (h.channel == channel && h.id == id) break;
    ref = h.hash_next;
  }
  return ref;
}

void Pending::collect(std::uint32_t channel, std::vector<std::uint32_t>& refs) {
  refs.clear();
  for (std::uint32_t ref = channels_[channel].first; ref != kNone; ref = handle(ref).older) refs.push_back(ref);
  std::reverse(refs.begin(), refs.end());
}

void Pending::collect_new(std::uint32_t channel, std::vector<std::uint32_t>& refs) {
  refs.clear();
  Channel& c = channels_[channel];
  for (std::uint32_t ref = c.first; ref != c.known; ref = handle(ref).older) refs.push_back(ref);
  c.known = c.first;
  std::reverse(refs.begin(), refs.end());
}

void Pending::put(std::size_t to, std::uint32_t record) {
  heap_[to] = record;
  at(record).heap_at = static_cast<std::uint32_t>(to);
}

void Pending::sift_up(std::size_t from) {
  const std::uint32_t record = heap_[from];
  while (from > 0) {
    const std::size_t parent = (from - 1) / 2;
    if (at(heap_[parent]).wake <= at(record).wake) break;
    put(from, heap_[parent]);
    from = parent;
  }
  put(from, record);
}

void Pending::sift_down(std::size_t from) {
  const std::uint32_t record = heap_[from];
  for (;;) {
    std::size_t child = 2 * from + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && at(heap_[child + 1]).wake < at(heap_[child]).wake) ++child;
    if (at(record).wake <= at(heap_[child]).wake) break;
    put(from, heap_[child]);
    from = child;
  }
  put(from, record);
}

void Pending::set_wake(std::uint32_t record, Instant wake) {
  Record& r = at(record);
  r.wake = wake;
  if (wake == kNever) {
    if (r.heap_at == kNone) return;
    const std::size_t hole = r.heap_at;
    r.heap_at = kNone;
    const std::uint32_t last = heap_.back();
    heap_.pop_back();
    if (last == record) return;
    put(hole, last);
    sift_up(hole);
    sift_down(at(last).heap_at);
    return;
  }
  if (r.heap_at == kNone) {
    heap_.push_back(record);
    sift_up(heap_.size() - 1);
    return;
  }
  sift_up(r.heap_at);
  sift_down(r.heap_at);
}

}  // namespace har::forward
