#include "forward/in_turn.h"

namespace har::forward {

InTurn::InTurn(net::Loop& loop, Forwarder& forwarder)
    : forwarder_(forwarder), turn_end_(loop, [this] { go_on(); }), next_turn_(loop, [this] { turn_end_.ask(); }) {}

bool InTurn::ask(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag) {
  turn_end_.ask();
  // What is too large to wait is rare, and has a bound of its own in the forwarder.
  const bool can_wait = query.size() <= Waiting::kMostOctets;
  if (can_wait && (!waiting_.empty() || asked_ >= kATurn)) return waiting_.put(query, asker, tag);
  ++asked_;
  forwarder_.ask(query, asker, tag, false);
  return true;
}

void InTurn::go_on() {
  const bool is_flood = waiting_.used() > Waiting::kRoom / 2;
  for (int i = (is_flood ? kATurnInAFlood : kATurn) - asked_; i > 0 && !waiting_.empty(); --i) {
    waiting_.take_first([this](std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag) {
      forwarder_.ask(query, asker, tag, false);
    });
  }
  asked_ = 0;
  if (!waiting_.empty()) next_turn_.set(Duration::zero());
}

void InTurn::end_all(const std::function<void(const net::Asker& asker, std::span<const std::uint8_t> query)>& each) {
  while (!waiting_.empty()) {
    waiting_.take_first(
        [&each](std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t) { each(asker, query); });
  }
}

}  // namespace har::forward
