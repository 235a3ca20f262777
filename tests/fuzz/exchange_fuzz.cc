// Exchange, Choice and Places under any order of events in virtual time: each octet of the input is one event.
// Holds: an exchange ends within its whole time; it never waits for a moment that has passed; it asks only upstreams of
// the set, at most kMaxTries times, one step at a time; it passes a bad reply on only where there was one, and gives up
// only where there was none; patience stays within its limits; a place stays with its upstream.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/assert.h"
#include "input.h"
#include "upstream/choice.h"
#include "upstream/exchange.h"
#include "upstream/places.h"

namespace har::upstream {
namespace {

using std::chrono::milliseconds;

class World {
 public:
  explicit World(std::span<const std::uint8_t> input) : input_(input) {
    limits_.try_timeout = milliseconds(1 + 10 * input_.next());
    limits_.total = milliseconds(1 + 16 * input_.next());
    assign();
  }

  void run() {
    while (!input_.empty()) {
      input_.next();  // an exchange without upstreams takes no event: the input must end all the same
      exchange_.start(now_);
      over_ = had_bad_ = false;
      const Instant end = now_ + limits_.total;
      serve();
      for (int events = 0; !over_ && events < 1000; ++events) event();
      if (!over_) advance_to(end);
      HAR_ASSERT(over_);
    }
  }

 private:
  void assign() {
    std::vector<IpPort> upstreams(input_.next() % 20);
    for (IpPort& upstream : upstreams) upstream.port = static_cast<std::uint16_t>(input_.next() % 24);
    const Places before = places_;
    places_.assign(upstreams);
    HAR_ASSERT(places_.order().size() <= kMaxUpstreams);
    for (const Place place : places_.order()) {
      HAR_ASSERT(std::count(places_.order().begin(), places_.order().end(), place) == 1);
      if (const auto old = before.find(places_.at(place))) HAR_ASSERT(*old == place);
    }
    choice_.set(places_.order(), now_);
  }

  void serve() {
    for (int steps = 0;; ++steps) {
      HAR_ASSERT(steps <= Exchange::kMaxTries + 1);
      const std::uint8_t tries = exchange_.tries();
      const Step step = exchange_.next(choice_, limits_, now_);
      if (step.what == Do::kAsk) {
        HAR_ASSERT(step.attempt == tries && exchange_.tries() == tries + 1);
        HAR_ASSERT((choice_.all() & only(step.place)) != 0);
        HAR_ASSERT(exchange_.place_of(step.attempt) == step.place);
        const Duration patience = choice_.patience(step.place);
        HAR_ASSERT(patience >= kMinPatience && patience <= kMaxPatience);
        continue;
      }
      if (step.what == Do::kWait) {
        HAR_ASSERT(step.wake > now_);
        wake_ = step.wake;
        return;
      }
      HAR_ASSERT((step.what == Do::kPassBad) == had_bad_);
      over_ = true;
      return;
    }
  }

  void advance_to(Instant to) {
    while (!over_ && wake_ <= to) {
      now_ = wake_;
      serve();
    }
    now_ = std::max(now_, to);
  }

  void event() {
    const std::uint8_t octet = input_.next();
    const int tries = std::max<int>(exchange_.tries(), 1);
    const auto attempt = static_cast<std::uint8_t>((octet >> 3) % tries);
    switch (octet & 7) {
      case 0:
        advance_to(wake_);
        return;
      case 1:
        advance_to(now_ + milliseconds(octet >> 3));
        return;
      case 2:
      case 3: {
        if (exchange_.tries() == 0) return;
        const bool listened = exchange_.listens(attempt);
        const std::uint8_t rcode = (octet & 1) != 0 ? 2 : 3;
        const Worth worth = exchange_.replied(attempt, rcode, choice_, now_);
        HAR_ASSERT(worth != Worth::kGood || (listened && is_good(rcode)));
        HAR_ASSERT(worth != Worth::kFirstBad || !had_bad_);
        had_bad_ = had_bad_ || worth == Worth::kFirstBad;
        over_ = worth == Worth::kGood;
        break;
      }
      case 4:
        if (exchange_.tries() == 0) return;
        exchange_.refused(attempt, choice_, limits_, now_);
        break;
      case 5:
        choice_.answered(octet >> 3, milliseconds(input_.next()), now_);
        return;
      case 6:
        if ((octet >> 3) == 0) {
          assign();
        } else if ((octet >> 3) == 1 && choice_.all() != 0) {
          choice_.exclude(choice_.best_of(choice_.all()));
        } else {
          choice_.sent(octet >> 3, limits_.try_timeout, now_);
          return;
        }
        break;
      case 7:
        while (choice_.next_change(now_)) {
        }
        for (int probes = 0; choice_.probe_due(now_); ++probes) HAR_ASSERT(probes < static_cast<int>(kMaxUpstreams));
        HAR_ASSERT(choice_.wake() > now_);
        return;
    }
    if (!over_) serve();
  }

  Input input_;
  Places places_;
  Choice choice_;
  Limits limits_;
  Exchange exchange_;
  Instant now_ = Instant(std::chrono::seconds(1000));
  Instant wake_ = kNever;
  bool over_ = false;
  bool had_bad_ = false;
};

}  // namespace
}  // namespace har::upstream

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  har::upstream::World({data, std::min<std::size_t>(size, 4096)}).run();
  return 0;
}
