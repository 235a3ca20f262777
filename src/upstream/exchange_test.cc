#include "upstream/exchange.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "dns/types.h"

namespace har::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

const Instant kStart = Instant(seconds(1000));

// Runs one exchange in virtual time and writes down what it does: "0@100" is "place 0 was asked at 100 ms".
struct ExchangeTest : testing::Test {
  Choice choice;
  Limits limits;
  Exchange exchange;
  Instant now = kStart;
  Instant wake = kNever;
  std::vector<std::string> log;
  bool ended = false;

  void use(std::initializer_list<Place> order) { choice.set(std::span(order.begin(), order.size()), now); }
  void measure(Place place, Duration rtt) { choice.answered(place, rtt, now); }
  void kill(Place place) {
    for (int i = 0; i < 3; ++i) choice.sent(place, Duration{}, now - seconds(2));
  }
  std::string at() const {
    return "@" + std::to_string(std::chrono::duration_cast<milliseconds>(now - kStart).count());
  }
  void serve() {
    while (!ended) {
      const Step step = exchange.next(choice, limits, now);
      switch (step.what) {
        case Do::kAsk:
          EXPECT_EQ(step.attempt, exchange.tries() - 1);
          log.push_back(std::to_string(step.place) + at());
          continue;
        case Do::kWait:
          EXPECT_GT(step.wake, now);
          wake = step.wake;
          return;
        case Do::kPassBad:
          log.push_back("bad" + at());
          ended = true;
          break;
        case Do::kGiveUp:
          log.push_back("nothing" + at());
          ended = true;
          break;
      }
    }
  }
  void start() {
    exchange.start(now);
    serve();
  }
  void run_until(int ms) {
    const Instant to = kStart + milliseconds(ms);
    while (!ended && wake <= to) {
      now = wake;
      serve();
    }
    now = to;
  }
  void reply(std::uint8_t attempt, std::uint8_t rcode) {
    switch (exchange.replied(attempt, rcode, choice, now)) {
      case Worth::kGood:
        log.push_back("good" + at());
        ended = true;
        return;
      case Worth::kFirstBad:
        log.push_back("first bad" + at());
        break;
      case Worth::kNothing:
        break;
    }
    serve();
  }
  void refuse(std::uint8_t attempt) {
    exchange.refused(attempt, choice, limits, now);
    serve();
  }
};

TEST_F(ExchangeTest, TheOnlyUpstreamIsAskedAtZeroAndAtOneSecondAndGivenUpAtTwo) {
  use({0});
  start();
  run_until(5000);
  EXPECT_THAT(log, ElementsAre("0@0", "0@1000", "nothing@2000"));
}

TEST_F(ExchangeTest, TheNextIsAskedAfterAHundredMillisecondsAtFirstContact) {
  use({0, 1, 2});
  start();
  run_until(999);
  EXPECT_THAT(log, ElementsAre("0@0", "1@100", "2@200"));
}

TEST_F(ExchangeTest, TheFastestIsAskedFirstAndTheNextAfterItsPatience) {
  use({0, 1});
  measure(0, milliseconds(90));
  measure(1, milliseconds(40));  // rttvar 20: patience 120
  start();
  run_until(500);
  EXPECT_THAT(log, ElementsAre("1@0", "0@120"));
}

TEST_F(ExchangeTest, TheEndOfATryAsksTheOneAskedLongestAgo) {
  use({0, 1});
  start();
  run_until(5000);
  EXPECT_THAT(log, ElementsAre("0@0", "1@100", "0@1000", "1@1100", "nothing@2000"));
}

TEST_F(ExchangeTest, TheFirstGoodReplyWinsAlsoFromTheSecondAsked) {
  use({0, 1});
  start();
  run_until(110);
  reply(1, dns::kNxDomain);
  EXPECT_THAT(log, ElementsAre("0@0", "1@100", "good@110"));
}

TEST_F(ExchangeTest, TheLoserOfTheRaceIsMeasuredAllTheSame) {
  use({0, 1});
  start();
  run_until(110);
  reply(1, dns::kNoError);
  EXPECT_TRUE(exchange.is_over());
  EXPECT_TRUE(exchange.listens(0));
  now = kStart + milliseconds(250);
  exchange.replied(0, dns::kNoError, choice, now);
  EXPECT_EQ(choice.srtt(0), milliseconds(250));
  EXPECT_EQ(choice.srtt(1), milliseconds(10));
  EXPECT_FALSE(exchange.listens(0));
}

TEST_F(ExchangeTest, ALateGoodReplyStillWins) {
  use({0});
  start();
  run_until(1500);
  reply(0, dns::kNoError);  // the first try ended half a second ago
  EXPECT_THAT(log, ElementsAre("0@0", "0@1000", "good@1500"));
}

TEST_F(ExchangeTest, ARefusalMovesOnAtOnce) {
  use({0, 1});
  start();
  now += milliseconds(1);
  refuse(0);
  EXPECT_THAT(log, ElementsAre("0@0", "1@1"));
}

TEST_F(ExchangeTest, WhereAllRefuseTheEndsOfTheirTriesAskAgain) {
  use({0, 1});
  start();
  refuse(0);
  refuse(1);
  EXPECT_THAT(log, ElementsAre("0@0", "1@0"));
  run_until(1000);
  refuse(2);
  refuse(3);
  run_until(3000);
  EXPECT_THAT(log, ElementsAre("0@0", "1@0", "0@1000", "1@1000", "nothing@2000"));
}

TEST_F(ExchangeTest, AGoodReplyAfterARefusalOfTheSameTryCounts) {
  use({0});
  start();
  refuse(0);  // the refusal may have been meant for another query on the same socket
  now += milliseconds(3);
  reply(0, dns::kNoError);
  EXPECT_THAT(log, ElementsAre("0@0", "good@3"));
}

TEST_F(ExchangeTest, ABadReplyAsksTheNextAtOnceWhoseGoodOneWins) {
  for (const std::uint8_t rcode :
       std::initializer_list<std::uint8_t>{dns::kServFail, dns::kRefused, dns::kNotImp, dns::kFormErr}) {
    log.clear();
    ended = false;
    now = kStart;
    use({0, 1});
    start();
    now += milliseconds(5);
    reply(0, rcode);
    now += milliseconds(5);
    reply(1, dns::kNoError);
    EXPECT_THAT(log, ElementsAre("0@0", "first bad@5", "1@5", "good@10"));
    choice = Choice();
  }
}

TEST_F(ExchangeTest, WhereNoneIsGoodTheFirstBadOneIsPassedOnAsSoonAsAllHaveSpoken) {
  use({0, 1});
  start();
  reply(0, dns::kServFail);
  now += milliseconds(7);
  reply(1, dns::kRefused);
  EXPECT_THAT(log, ElementsAre("0@0", "first bad@0", "1@0", "bad@7"));
}

TEST_F(ExchangeTest, TheOnlyUpstreamsBadReplyIsPassedOnAtOnce) {
  use({0});
  start();
  now += milliseconds(3);
  reply(0, dns::kServFail);
  EXPECT_THAT(log, ElementsAre("0@0", "first bad@3", "bad@3"));
}

TEST_F(ExchangeTest, ABadOneAndARefusalEndItAtOnce) {
  use({0, 1});
  start();
  reply(0, dns::kServFail);
  refuse(1);
  EXPECT_THAT(log, ElementsAre("0@0", "first bad@0", "1@0", "bad@0"));
}

TEST_F(ExchangeTest, WhileASilentOneMayYetSpeakTheBadReplyWaits) {
  use({0, 1});
  start();
  reply(0, dns::kServFail);
  run_until(5000);
  EXPECT_THAT(log, ElementsAre("0@0", "first bad@0", "1@0", "1@1000", "bad@2000"));  // 0 is not asked again
}

TEST_F(ExchangeTest, DeadOnesArePassedOver) {
  use({0, 1, 2});
  kill(0);
  kill(2);
  start();
  run_until(5000);
  EXPECT_THAT(log, ElementsAre("1@0", "1@1000", "nothing@2000"));
}

TEST_F(ExchangeTest, WhereAllAreDeadAllAreAskedAtOnce) {
  use({0, 1, 2});
  for (Place place = 0; place < 3; ++place) kill(place);
  start();
  EXPECT_THAT(log, ElementsAre("0@0", "1@0", "2@0"));
  run_until(1000);
  EXPECT_THAT(log, ElementsAre("0@0", "1@0", "2@0", "0@1000", "1@1000", "2@1000"));
}

TEST_F(ExchangeTest, OneThatComesAliveMeanwhileIsAsked) {
  use({0, 1});
  kill(1);
  start();
  run_until(300);
  choice.answered(1, milliseconds(4), now);  // its `. NS`
  run_until(1000);
  EXPECT_THAT(log, ElementsAre("0@0", "1@1000"));
}

TEST_F(ExchangeTest, ShortTriesFollowEachOtherToTheEnd) {
  limits.try_timeout = milliseconds(300);
  use({0});
  start();
  run_until(5000);
  EXPECT_THAT(log, ElementsAre("0@0", "0@300", "0@600", "0@900", "0@1200", "0@1500", "0@1800", "nothing@2000"));
}

TEST_F(ExchangeTest, TheNumberOfTriesIsBounded) {
  limits.try_timeout = milliseconds(1);
  use({0});
  start();
  run_until(5000);
  EXPECT_EQ(log.size(), Exchange::kMaxTries + 1U);
  EXPECT_EQ(log.back(), "nothing@2000");
}

TEST_F(ExchangeTest, ATryLongerThanTheWholeChangesNothingAtItsEnd) {
  limits.try_timeout = seconds(10);
  use({0});
  start();
  run_until(20'000);
  EXPECT_THAT(log, ElementsAre("0@0", "nothing@2000"));
}

TEST_F(ExchangeTest, WithoutUpstreamsItEndsAtOnce) {
  use({});
  start();
  EXPECT_THAT(log, ElementsAre("nothing@0"));
}

TEST_F(ExchangeTest, ALoopingUpstreamIsNotAsked) {
  use({0, 1});
  choice.exclude(0);
  start();
  run_until(900);
  EXPECT_THAT(log, ElementsAre("1@0"));
}

TEST_F(ExchangeTest, OneNotHeardOfForTenSecondsIsAskedBesideTheFirst) {
  use({0, 1});
  measure(0, milliseconds(10));
  now = kStart + seconds(10);
  measure(0, milliseconds(10));
  start();
  EXPECT_THAT(log, ElementsAre("0@10000", "1@10000"));
  log.clear();
  start();
  EXPECT_THAT(log, ElementsAre("0@10000"));
}

TEST_F(ExchangeTest, ThreeSilentQueriesKillAnUpstreamAlsoWhenAnotherWinsEachRace) {
  use({0, 1});
  measure(0, milliseconds(1));
  for (int i = 0; i < 3; ++i) {
    ended = false;
    exchange.start(now);
    Step step = exchange.next(choice, limits, now);
    EXPECT_EQ(step.place, 0);
    step = exchange.next(choice, limits, now);
    now = step.wake;
    step = exchange.next(choice, limits, now);
    ASSERT_EQ(step.what, Do::kAsk);
    EXPECT_EQ(step.place, 1);
    EXPECT_EQ(exchange.replied(step.attempt, dns::kNoError, choice, now + milliseconds(1)), Worth::kGood);
  }
  now += seconds(1);
  EXPECT_EQ(choice.alive(now), only(1));
}

TEST_F(ExchangeTest, AFewHundredOctetsAQueryAreEnough) { EXPECT_LE(sizeof(Exchange), 320U); }

}  // namespace
}  // namespace har::upstream
