// Lets queries into the forwarder a few at a time: those beyond kATurn in one turn of the loop wait for the next turns.
// So whoever reads them can go on reading, and what is our own to answer overtakes what is to be forwarded, which costs
// ten times as much. While more waits than the forwarder can keep up with, few go in each turn, and what there is no
// room for is lost: reading must stay ahead of a flood.
// Thread: one worker.  Tested by: in_turn_test.cc, tests/e2e/test_hostile_clients.py
#pragma once

#include <functional>
#include <span>

#include "forward/forwarder.h"
#include "forward/waiting.h"
#include "net/loop.h"

namespace har::forward {

class InTurn {
 public:
  static constexpr int kATurn = 32;
  static constexpr int kATurnInAFlood = 8;

  InTurn(net::Loop& loop, Forwarder& forwarder);

  // As Forwarder::ask(), now or in one of the next turns. No zone transfers. false: there is no room, nothing follows.
  bool ask(std::span<const std::uint8_t> query, const net::Asker& asker, std::uint32_t tag);
  bool empty() const { return waiting_.empty(); }
  // Takes all that wait out again.
  void end_all(const std::function<void(const net::Asker& asker, std::span<const std::uint8_t> query)>& each);

 private:
  void go_on();

  Forwarder& forwarder_;
  Waiting waiting_;
  int asked_ = 0;  // in this turn
  net::Later turn_end_;
  net::Timer next_turn_;
};

}  // namespace har::forward
