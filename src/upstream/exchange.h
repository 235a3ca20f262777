// One query's way through the upstreams: whom to ask now, when to look again, how it ends. No sockets, no clock, no
// allocation: a value of some 300 octets, thousands of which are in flight. Used by forward/ and probe/.
// Source: SEMANTICS "Forwarding".
//
// A try is one sending to one upstream. It is
//   open     from its sending until try_timeout later,
//   refused  when the upstream's host refused it (ECONNREFUSED) or it could not be sent,
//   late     after try_timeout: its end started the next try, but it listens on until the exchange is over,
//   bad      answered with SERVFAIL, REFUSED, NOTIMP or FORMERR,
//   good     answered otherwise: the exchange is over.
// The next upstream is asked: at once after a refusal or a bad reply, after the last asked one's patience, and at a
// try's end. Who was not asked yet comes first, the fastest of them; only a try's end asks one a second time (the one
// asked longest ago, none that answered badly, none with an open try). Dead ones are passed over; when all are dead,
// all are asked at once. When all have refused, the ends of their tries ask again, as if they had been silent: an
// upstream that restarts is given the second try.
//
//   Exchange x; x.start(now);                      // then, after start and after every event or wake-up:
//   for (;;) {
//     const Step s = x.next(choice, limits, now);
//     if (s.what == Do::kAsk) { if (!send(s.place, s.attempt)) x.refused(s.attempt, choice, limits, now); continue; }
//     if (s.what == Do::kWait) { wake_up_at(s.wake); break; }
//     ...kPassBad: the reply kept at kFirstBad is the answer;  kGiveUp: nothing came: SERVFAIL
//     break;
//   }
//   // A reply that matched (dns/match.h) the query sent as try `attempt`:
//   switch (x.replied(attempt, rcode, choice, now)) {
//     case Worth::kGood: ...the answer; the exchange is over
//     case Worth::kFirstBad: ...keep a copy, then next()
//     case Worth::kNothing: ...next()
//   }
//   // ECONNREFUSED: x.refused(attempt, choice, limits, now), then next().
//
// Each try needs a message ID of its own (and by preference a socket): its reply then measures that try alone.
// The owner also serves choice.next_change() and choice.probe_due() whenever choice.wake() has come.
// After the end, replied() and refused() may go on to be called for open tries: they feed the choice only.
// Thread: one owner.  Tested by: exchange_test.cc, tests/fuzz/exchange_fuzz.cc
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "upstream/choice.h"

namespace har::upstream {

struct Limits {
  Duration try_timeout = std::chrono::seconds(1);  // resolver_timeout
  Duration total = std::chrono::seconds(2);
};

enum class Do : std::uint8_t {
  kAsk,      // send the query to `place`; it is try number `attempt`
  kWait,     // nothing before `wake`
  kPassBad,  // the end: the first bad reply is the answer
  kGiveUp,   // the end: nothing came
};

struct Step {
  Do what = Do::kGiveUp;
  Place place = 0;           // kAsk
  std::uint8_t attempt = 0;  // kAsk: 0, 1, 2 …
  Instant wake{};            // kWait; later than now
};

enum class Worth : std::uint8_t {
  kGood,      // this reply is the answer; the end
  kFirstBad,  // keep it: it is the answer if no good one comes
  kNothing,   // a bad one that is not the first, or a reply to a try that had its reply
};

// Good is any but SERVFAIL, REFUSED, NOTIMP and FORMERR. `rcode`: the header's four bits.
bool is_good(std::uint8_t rcode);

class Exchange {
 public:
  static constexpr std::uint8_t kMaxTries = 32;  // twice the most upstreams; then nothing more is sent

  void start(Instant now);
  Step next(Choice& choice, const Limits& limits, Instant now);
  Worth replied(std::uint8_t attempt, std::uint8_t rcode, Choice& choice, Instant now);
  void refused(std::uint8_t attempt, Choice& choice, const Limits& limits, Instant now);

  std::uint8_t tries() const { return tries_; }
  Place place_of(std::uint8_t attempt) const { return attempts_[attempt].place; }
  Instant sent_at(std::uint8_t attempt) const { return start_ + attempts_[attempt].sent; }
  // Neither answered, refused nor ended.
  bool is_open(std::uint8_t attempt) const { return attempts_[attempt].state == State::kOpen; }
  bool listens(std::uint8_t attempt) const;  // has had no reply yet
  bool is_over() const { return over_; }
  // Instead of start() and next(): one sending to one upstream (`. NS` of a dead one), which is try 0 and sent now.
  void start_single(Place place, Choice& choice, const Limits& limits, Instant now);

 private:
  enum class State : std::uint8_t { kOpen, kRefused, kLate, kRefusedLate, kAnswered };
  struct Try {
    std::chrono::duration<std::uint32_t, std::micro> sent{};  // since start_
    Place place = 0;
    State state = State::kOpen;
  };
  Step ask(Place place, Choice& choice, const Limits& limits, Instant now);
  Step finish(Do what);
  void end_tries(const Limits& limits, Instant now);
  PlaceSet waiting_places() const;
  Place asked_longest_ago(PlaceSet among) const;

  Instant start_{};
  Instant next_at_ = kNever;  // the last asked one's patience ends
  PlaceSet wanted_ = 0;       // to be asked at once: at the start
  PlaceSet asked_ = 0;
  PlaceSet bad_ = 0;
  PlaceSet refused_ = 0;
  std::uint8_t tries_ = 0;
  std::uint8_t moves_ = 0;  // refusals and bad replies that have not yet started the next
  std::uint8_t ends_ = 0;   // the same for ends of tries
  bool has_bad_ = false;
  bool over_ = false;
  std::array<Try, kMaxTries> attempts_{};
};

}  // namespace har::upstream
