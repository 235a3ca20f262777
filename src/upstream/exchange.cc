#include "upstream/exchange.h"

#include <algorithm>

#include "base/assert.h"
#include "dns/types.h"

namespace har::upstream {

bool is_good(std::uint8_t rcode) {
  return rcode != dns::kServFail && rcode != dns::kRefused && rcode != dns::kNotImp && rcode != dns::kFormErr;
}

void Exchange::start(Instant now) {
  *this = Exchange();
  start_ = now;
}

void Exchange::start_single(Place place, Choice& choice, const Limits& limits, Instant now) {
  start(now);
  ask(place, choice, limits, now);
  over_ = true;
}

bool Exchange::listens(std::uint8_t attempt) const { return attempts_[attempt].state != State::kAnswered; }

Step Exchange::ask(Place place, Choice& choice, const Limits& limits, Instant now) {
  const std::uint8_t attempt = tries_++;
  // To the microsecond, rounded down for the choice as well: refused() must find the very same time again.
  const auto sent = std::chrono::duration_cast<decltype(Try::sent)>(now - start_);
  attempts_[attempt] = Try{sent, place, State::kOpen};
  asked_ |= only(place);
  refused_ &= ~only(place);
  wanted_ &= ~only(place);
  choice.sent(place, limits.try_timeout, start_ + sent);
  // Several that are asked in one moment: the least patience of them decides when the next follows.
  const bool together = attempt > 0 && attempts_[attempt - 1].sent == sent;
  const Instant patience_ends = now + choice.patience(place);
  next_at_ = together ? std::min(next_at_, patience_ends) : patience_ends;
  return Step{Do::kAsk, place, attempt, {}};
}

Step Exchange::finish(Do what) {
  over_ = true;
  return Step{what, 0, 0, {}};
}

void Exchange::end_tries(const Limits& limits, Instant now) {
  for (std::uint8_t i = 0; i < tries_; ++i) {
    Try& t = attempts_[i];
    if (t.state != State::kOpen && t.state != State::kRefused) continue;
    if (start_ + t.sent + limits.try_timeout > now) continue;
    t.state = t.state == State::kOpen ? State::kLate : State::kRefusedLate;
    ++ends_;
  }
}

// Those with a try that has not ended: they are not asked a second time beside it.
PlaceSet Exchange::waiting_places() const {
  PlaceSet waiting = 0;
  for (std::uint8_t i = 0; i < tries_; ++i) {
    if (attempts_[i].state == State::kOpen || attempts_[i].state == State::kRefused)
      waiting |= only(attempts_[i].place);
  }
  return waiting;
}

Place Exchange::asked_longest_ago(PlaceSet among) const {
  // Tries stand in the order of their sending, so the place whose last try comes first was asked longest ago.
  std::array<std::uint8_t, kMaxPlaces> last{};
  for (std::uint8_t i = 0; i < tries_; ++i) last[attempts_[i].place] = i;
  Place found = static_cast<Place>(std::countr_zero(among));
  for (PlaceSet rest = among; rest != 0; rest &= rest - 1) {
    const auto place = static_cast<Place>(std::countr_zero(rest));
    if (last[place] < last[found]) found = place;
  }
  return found;
}

Step Exchange::next(Choice& choice, const Limits& limits, Instant now) {
  HAR_ASSERT(!over_);
  const Instant end = start_ + limits.total;
  if (now >= end) return finish(has_bad_ ? Do::kPassBad : Do::kGiveUp);
  const PlaceSet alive = choice.alive(now);
  const PlaceSet usable = alive != 0 ? alive : choice.all();
  if (usable == 0) return finish(has_bad_ ? Do::kPassBad : Do::kGiveUp);

  if (tries_ == 0) {
    if (alive == 0) {
      wanted_ = usable;
    } else {
      wanted_ = only(choice.best_of(usable));
      if (const auto explored = choice.explore(now)) wanted_ |= only(*explored);
    }
  }
  if ((wanted_ & usable) != 0) return ask(choice.best_of(wanted_ & usable), choice, limits, now);

  end_tries(limits, now);
  const PlaceSet fresh = tries_ < kMaxTries ? usable & ~asked_ : 0;
  if (fresh != 0) {
    if (moves_ > 0 || ends_ > 0 || next_at_ <= now) {
      if (moves_ > 0) {
        --moves_;
      } else if (ends_ > 0) {
        --ends_;
      }
      return ask(choice.best_of(fresh), choice, limits, now);
    }
  } else {
    moves_ = 0;  // nobody is left to move on to
    if (ends_ > 0) {
      --ends_;
      const PlaceSet again = tries_ < kMaxTries ? usable & asked_ & ~bad_ & ~waiting_places() : 0;
      if (again != 0) return ask(asked_longest_ago(again), choice, limits, now);
      ends_ = 0;
    }
    if (has_bad_ && (usable & ~bad_ & ~refused_) == 0) return finish(Do::kPassBad);
  }

  Instant wake = fresh != 0 ? std::min(end, next_at_) : end;
  for (std::uint8_t i = 0; i < tries_; ++i) {
    const Try& t = attempts_[i];
    if (t.state != State::kOpen && t.state != State::kRefused) continue;
    wake = std::min(wake, start_ + t.sent + limits.try_timeout);
  }
  return Step{Do::kWait, 0, 0, wake};
}

Worth Exchange::replied(std::uint8_t attempt, std::uint8_t rcode, Choice& choice, Instant now) {
  HAR_ASSERT(attempt < tries_);
  Try& t = attempts_[attempt];
  if (t.state == State::kAnswered) return Worth::kNothing;
  const bool moves_on = t.state == State::kOpen;  // the other states have started the next already
  t.state = State::kAnswered;
  choice.answered(t.place, now - (start_ + t.sent), now);
  if (is_good(rcode)) {
    over_ = true;
    return Worth::kGood;
  }
  bad_ |= only(t.place);
  if (moves_on) ++moves_;
  if (has_bad_) return Worth::kNothing;
  has_bad_ = true;
  return Worth::kFirstBad;
}

void Exchange::refused(std::uint8_t attempt, Choice& choice, const Limits& limits, Instant now) {
  HAR_ASSERT(attempt < tries_);
  Try& t = attempts_[attempt];
  if (t.state != State::kOpen) return;
  t.state = State::kRefused;
  refused_ |= only(t.place);
  ++moves_;
  choice.refused(t.place, start_ + t.sent, limits.try_timeout, now);
}

}  // namespace har::upstream
