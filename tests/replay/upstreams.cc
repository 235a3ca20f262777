#include "upstreams.h"

#include <algorithm>

#include "text.h"

namespace har::replay {

using upstream::Do;
using upstream::Worth;

void Upstreams::set(const std::vector<IpAddress>& addresses, Instant now) {
  std::vector<IpPort> list;
  behaviours_.clear();
  for (const IpAddress& address : addresses) {
    list.push_back({address, 53, 0});
    behaviours_[address] = {};
  }
  places_.assign(list);
  choice_.set(places_.order(), now);
}

void Upstreams::behave(const IpAddress& address, const Behaviour& behaviour) {
  const auto found = behaviours_.find(address);
  if (found == behaviours_.end()) throw Mismatch(address.to_string() + " is no upstream");
  found->second = behaviour;
}

Upstreams::Outcome Upstreams::ask(const Packet& query, upstream::Limits limits, Instant now) {
  struct Arrival {
    Instant when;
    std::uint8_t attempt;
    Behaviour behaviour;
  };
  std::vector<Arrival> under_way;
  const Instant start = now;
  Outcome outcome;
  const auto packet_of = [&query](const Behaviour& behaviour) {
    return behaviour.kind == Behaviour::Kind::kAnswers ? make_reply(query, 0, true)
                                                       : make_reply(query, behaviour.rcode, false);
  };

  upstream::Exchange exchange;
  exchange.start(now);
  for (int turn = 0; turn < 10'000; ++turn) {
    const upstream::Step step = exchange.next(choice_, limits, now);
    if (step.what == Do::kAsk) {
      ++outcome.asked;
      const Behaviour behaviour = behaviours_.at(places_.at(step.place).ip);
      if (behaviour.kind == Behaviour::Kind::kRefuses) {
        exchange.refused(step.attempt, choice_, limits, now);
      } else if (behaviour.kind != Behaviour::Kind::kSilent) {
        under_way.push_back({now + behaviour.after, step.attempt, behaviour});
      }
      continue;
    }
    if (step.what == Do::kGiveUp || step.what == Do::kPassBad) {
      outcome.took = now - start;
      if (step.what == Do::kGiveUp) outcome.reply.clear();
      return outcome;
    }
    const auto next = std::min_element(under_way.begin(), under_way.end(),
                                       [](const Arrival& a, const Arrival& b) { return a.when < b.when; });
    if (next == under_way.end() || next->when > step.wake) {
      now = step.wake;
      continue;
    }
    now = std::max(now, next->when);
    const Arrival arrival = *next;
    under_way.erase(next);
    const Packet reply = packet_of(arrival.behaviour);
    const Worth worth = exchange.replied(arrival.attempt, reply[3] & 15, choice_, now);
    if (worth == Worth::kNothing) continue;
    outcome.reply = reply;
    outcome.from = places_.at(exchange.place_of(arrival.attempt)).ip;
    if (worth == Worth::kGood) {
      outcome.took = now - start;
      return outcome;
    }
  }
  throw Mismatch("the exchange does not end");
}

}  // namespace har::replay
