#include "probe/host_record.h"

#include <gtest/gtest.h>

namespace har::probe {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using What = HostNews::What;
using Status = dns::Addresses::Status;

using List = std::vector<IpAddress>;
List list(std::initializer_list<const char*> texts) {
  List all;
  for (const char* text : texts) all.push_back(*IpAddress::parse(text));
  return all;
}
DnsEnding good(List addresses, std::uint32_t ttl = 60) {
  return {.kind = DnsEnding::Kind::kAnswer,
          .answer = {.status = Status::kFound, .addresses = std::move(addresses), .ttl = ttl},
          .why = {}};
}
DnsEnding negative(Status status = Status::kNoData, std::uint32_t ttl = 60) {
  return {.kind = DnsEnding::Kind::kAnswer, .answer = {.status = status, .addresses = {}, .ttl = ttl}, .why = {}};
}
DnsEnding bad() { return {.kind = DnsEnding::Kind::kBad, .answer = {}, .why = "SERVFAIL"}; }
DnsEnding silent() { return {.kind = DnsEnding::Kind::kSilent, .answer = {}, .why = {}}; }

struct World {
  Instant now = Instant(seconds(10'000));
  HostRecord record{seconds(2), now};

  // One round at its time, both families; gives what came out.
  HostNews round(const DnsEnding& v4, const DnsEnding& v6) {
    EXPECT_NE(record.next_event(), kNever);
    now = std::max(now, record.next_event());
    const auto due = record.take_due(now);
    EXPECT_TRUE(due.v4 || due.v6);
    HostNews news;
    if (due.v4) news = record.ended(Family::kV4, v4, now, 0);
    if (due.v6) {
      EXPECT_TRUE(!due.v4 || news.what == What::kNothing);
      news = record.ended(Family::kV6, v6, now, 0);
    }
    return news;
  }
  Duration wait() const { return record.next_event() - now; }
};

const List kFour = list({"192.0.2.1", "192.0.2.2"});
const List kSix = list({"2001:db8::1"});
const List kBoth = list({"192.0.2.1", "192.0.2.2", "2001:db8::1"});

TEST(HostRecord, AnswersOfBothFamiliesAreToldAtOnce) {
  World w;
  const HostNews news = w.round(good(list({"192.0.2.2", "192.0.2.1"})), good(kSix));
  EXPECT_EQ(news.what, What::kAddresses);
  EXPECT_EQ(news.addresses, kBoth);
  EXPECT_EQ(w.round(good(kFour), good(list({"2001:db8::9"}))).addresses.back().to_string(), "2001:db8::9");
}

TEST(HostRecord, TheTtlIsHonouredBetweenASecondAndFifteenFrequencies) {
  for (const auto& [ttl, wait] : {std::pair{0U, 1}, std::pair{1U, 1}, std::pair{7U, 7}, std::pair{30U, 30},
                                  std::pair{31U, 30}, std::pair{4'000'000'000U, 30}}) {
    World w;
    w.round(good(kFour, ttl), good(kSix, ttl));
    EXPECT_EQ(w.wait(), seconds(wait)) << ttl;
  }
}

TEST(HostRecord, AShorterFrequencyBindsTheQuestionThatWasSetForLater) {
  World w;
  w.record.set_frequency(seconds(300), w.now, 0);
  w.round(good(kFour, 3'600), good(kSix, 3'600));
  EXPECT_EQ(w.wait(), seconds(3'600));
  w.now += seconds(100);
  w.record.set_frequency(seconds(1), w.now, 1.0);
  EXPECT_EQ(w.wait(), milliseconds(13'500));
  w.now += seconds(10);
  w.record.set_frequency(seconds(1), w.now, 0);  // once more: nobody is put off
  EXPECT_EQ(w.wait(), milliseconds(3'500));
  w.record.set_frequency(seconds(300), w.now, 0);
  EXPECT_EQ(w.wait(), milliseconds(3'500));
  w.round(good(kFour, 3'600), good(kSix, 3'600));  // both, still
  EXPECT_EQ(w.wait(), seconds(3'600));
}

TEST(HostRecord, TheNextQuestionComesUpToATenthEarlier) {
  HostRecord record(seconds(2), Instant());
  record.take_due(Instant());
  record.ended(Family::kV4, good(kFour, 20), Instant(), 1.0);
  record.ended(Family::kV6, good(kSix, 20), Instant(), 1.0);
  EXPECT_EQ(record.next_event(), Instant(seconds(18)));
}

TEST(HostRecord, EachFamilyFollowsItsOwnTtl) {
  World w;
  w.round(good(kFour, 5), good(kSix, 25));
  w.now += seconds(5);
  const auto due = w.record.take_due(w.now);
  EXPECT_TRUE(due.v4);
  EXPECT_FALSE(due.v6);
  EXPECT_EQ(w.record.ended(Family::kV4, good(list({"192.0.2.7"})), w.now, 0).addresses,
            list({"192.0.2.7", "2001:db8::1"}));
}

TEST(HostRecord, AHostWithOneFamilyIsNotAskedEverySecondForTheOther) {
  World w;
  const HostNews news = w.round(good(kFour, 20), negative(Status::kNoData, 0));
  EXPECT_EQ(news.addresses, kFour);
  EXPECT_EQ(w.wait(), seconds(20));
}

TEST(HostRecord, FailuresKeepTheAddressesAndAreAskedAgainSoonDoublingToHalfAMinute) {
  for (const bool is_silent : {true, false}) {
    World w;
    w.round(good(kFour, 1), good(kSix, 1));
    for (const int wait : {1, 2, 4, 8, 16, 30, 30, 30}) {
      const HostNews news = is_silent ? w.round(silent(), silent()) : w.round(bad(), bad());
      EXPECT_EQ(news.what, What::kFailed);
      EXPECT_EQ(news.silent, is_silent);
      EXPECT_EQ(news.why, is_silent ? "no answer" : "SERVFAIL");
      EXPECT_EQ(w.wait(), seconds(wait));
    }
    EXPECT_EQ(w.round(good(kFour), good(kSix)).addresses, kBoth);
    w.round(bad(), bad());
    EXPECT_EQ(w.wait(), seconds(1));
  }
}

TEST(HostRecord, AFamilyThatFailsKeepsItsLastAddressesWhileTheOtherIsReplaced) {
  World w;
  w.round(good(kFour, 1), good(kSix, 1));
  const HostNews news = w.round(good(list({"192.0.2.9"}), 30), bad());
  EXPECT_EQ(news.what, What::kAddresses);
  EXPECT_EQ(news.addresses, list({"192.0.2.9", "2001:db8::1"}));
  EXPECT_EQ(w.wait(), seconds(1));  // only the one that failed is asked again soon
  w.now += seconds(1);
  const auto due = w.record.take_due(w.now);
  EXPECT_FALSE(due.v4);
  EXPECT_TRUE(due.v6);
  EXPECT_EQ(w.record.ended(Family::kV6, negative(), w.now, 0).addresses, list({"192.0.2.9", "2001:db8::1"}));
}

TEST(HostRecord, AFamilyLosesItsAddressesByTheSecondNegativeAnswerOfAMinuteWhateverTheOtherSays) {
  for (const Status status : {Status::kNxDomain, Status::kNoData}) {
    for (const Family family : {Family::kV4, Family::kV6}) {
      for (const std::uint32_t ttl : {0U, 7U, 900U}) {
        World w;
        const bool is_v4 = family == Family::kV4;
        w.record.set_frequency(seconds(120), w.now, 0);
        w.round(good(kFour, 1), good(kSix, 1));
        const Instant first = w.now + w.wait();
        List told = kBoth;
        for (int asked = 0; told == kBoth; ++asked) {
          ASSERT_LT(asked, 200);
          const HostNews news =
              is_v4 ? w.round(negative(status, 0), good(kSix, ttl)) : w.round(good(kFour, ttl), negative(status, 0));
          ASSERT_EQ(news.what, What::kAddresses);
          told = news.addresses;
        }
        EXPECT_EQ(told, is_v4 ? kSix : kFour);
        EXPECT_GE(w.now - first, seconds(60)) << ttl;
        EXPECT_LE(w.now - first, seconds(61)) << ttl;
      }
    }
  }
}

TEST(HostRecord, AGoodAnswerOfItsOwnKeepsAFamilyForAnotherMinute) {
  World w;
  w.round(good(kFour, 30), good(kSix, 30));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(w.round(good(kFour, 30), negative(Status::kNoData, 30)).addresses, kBoth);
    EXPECT_EQ(w.round(good(kFour, 30), negative(Status::kNoData, 30)).addresses, kBoth);
    EXPECT_EQ(w.round(good(kFour, 30), good(kSix, 30)).addresses, kBoth);
  }
}

TEST(HostRecord, ADeniedFamilyIsAskedAgainInTimeThoughTheOtherFailsThatWasDeniedBefore) {
  World w;
  w.record.set_frequency(seconds(300), w.now, 0);
  w.round(good(kFour, 1), good(kSix, 1));
  w.round(good(kFour, 1), negative(Status::kNoData, 0));
  const Instant first = w.now + seconds(1);
  w.round(negative(Status::kNoData, 3'600), bad());
  EXPECT_EQ(w.now, first);
  for (;;) {
    w.now = w.record.next_event();
    ASSERT_LE(w.now, first + seconds(60));
    const auto due = w.record.take_due(w.now);
    if (due.v6) w.record.ended(Family::kV6, bad(), w.now, 0);
    if (due.v4) break;
  }
  EXPECT_EQ(w.now, first + seconds(60));
}

TEST(HostRecord, EachFamilyIsWithdrawnInItsOwnTime) {
  World w;
  w.round(good(kFour, 30), good(kSix, 30));
  w.round(good(kFour, 30), negative(Status::kNoData, 30));
  const Instant first = w.now;
  std::vector<std::pair<Duration, List>> told;
  while (told.size() < 2) {
    ASSERT_LT(w.now, first + seconds(200));
    const HostNews news = w.round(negative(Status::kNoData, 30), negative(Status::kNoData, 30));
    if (news.what == What::kAddresses) told.emplace_back(w.now - first, news.addresses);
  }
  EXPECT_EQ(told[0], std::pair(Duration(seconds(60)), kFour));
  EXPECT_EQ(told[1], std::pair(Duration(seconds(90)), List()));
}

TEST(HostRecord, NegativeForBothTwiceAMinuteApartWithdraws) {
  for (const Status status : {Status::kNxDomain, Status::kNoData}) {
    for (const std::uint32_t ttl : {0U, 5U, 900U}) {
      World w;
      w.record.set_frequency(seconds(120), w.now, 0);  // the TTL may be followed up to half an hour
      w.round(good(kFour, 1), good(kSix, 1));
      const Instant first = w.now + w.wait();
      HostNews news;
      int asked = 0;
      do {
        news = w.round(negative(status, ttl), negative(status, ttl));
        ASSERT_LT(++asked, 20);
      } while (news.what == What::kFailed);
      EXPECT_EQ(news.what, What::kAddresses);
      EXPECT_TRUE(news.addresses.empty());
      EXPECT_EQ(w.now - first, seconds(60)) << ttl;
      EXPECT_GE(asked, 2);
      // Told once; and a good answer brings them back.
      EXPECT_EQ(w.round(negative(status, ttl), negative(status, ttl)).what, What::kFailed);
      EXPECT_EQ(w.round(good(kFour), good(kSix)).addresses, kBoth);
    }
  }
}

TEST(HostRecord, OneNegativeAnswerIsForgottenAfterAGoodOne) {
  World w;
  w.round(good(kFour, 1), good(kSix, 1));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(w.round(negative(Status::kNxDomain, 30), negative(Status::kNxDomain, 30)).what, What::kFailed);
    EXPECT_EQ(w.round(good(kFour, 30), good(kSix, 30)).addresses, kBoth);
  }
}

TEST(HostRecord, AFailureBetweenTwoNegativesNeitherCountsNorHelps) {
  World w;
  w.round(good(kFour, 1), good(kSix, 1));
  w.round(negative(Status::kNxDomain), negative(Status::kNxDomain));
  const Instant first = w.now;
  while (w.now < first + seconds(50)) EXPECT_EQ(w.round(bad(), bad()).what, What::kFailed);
  HostNews news;
  while (news.what != What::kAddresses) news = w.round(negative(Status::kNxDomain), negative(Status::kNxDomain));
  EXPECT_TRUE(news.addresses.empty());
  EXPECT_LE(w.now - first, seconds(60 + 2 * 30 + 1));
}

TEST(HostRecord, ANegativeFamilyBesideAFailingOneWithdrawsNothing) {
  World w;
  w.round(good(kFour, 1), good(kSix, 1));
  const Instant first = w.now;
  while (w.now < first + seconds(300)) {
    const HostNews news = w.round(negative(Status::kNoData, 0), bad());
    EXPECT_EQ(news.what, What::kFailed);
    EXPECT_EQ(news.why, "SERVFAIL");
  }
  EXPECT_GE(w.wait(), seconds(30));  // the negative one does not ask every second either
  EXPECT_EQ(w.round(bad(), good(kSix)).addresses, kBoth);
}

TEST(HostRecord, ANegativeFamilyAskedAloneWithdrawsNothingWhileTheOtherFails) {
  World w;
  w.round(good(kFour, 10), good(kSix, 1));
  for (int i = 0; i < 3; ++i) w.round(good(kFour, 30), bad());  // IPv6 alone: after 1, 2 and 4 s
  const auto due = [&] {
    w.now = w.record.next_event();
    return w.record.take_due(w.now);
  };
  for (auto asked = due(); !asked.v4; asked = due()) w.record.ended(Family::kV6, bad(), w.now, 0);
  const HostNews news = w.record.ended(Family::kV4, negative(), w.now, 0);
  EXPECT_EQ(news.what, What::kFailed);
  EXPECT_EQ(news.why, "SERVFAIL");
}

TEST(HostRecord, ANegativeFamilyAskedAloneConfirmsNothingWhileTheOtherFails) {
  World w;
  w.round(good(kFour, 10), good(kSix, 10));
  w.round(negative(Status::kNoData, 28), negative(Status::kNoData, 28));
  const Instant end = w.now + seconds(200);
  while (w.now < end) {
    w.now = w.record.next_event();
    const auto asked = w.record.take_due(w.now);
    HostNews news;
    if (asked.v4) news = w.record.ended(Family::kV4, negative(Status::kNoData, 28), w.now, 0.5);
    if (asked.v6) news = w.record.ended(Family::kV6, bad(), w.now, 0.5);
    ASSERT_EQ(news.what, What::kFailed);
  }
}

TEST(HostRecord, ANegativeFamilyAskedAloneIsToldWithTheReasonOfTheOther) {
  for (const Family failing : {Family::kV4, Family::kV6}) {
    World w;
    const Family denied = failing == Family::kV4 ? Family::kV6 : Family::kV4;
    HostNews news;
    bool alone = false;
    for (int rounds = 0; !alone && rounds < 20; ++rounds) {
      w.now = w.record.next_event();
      const auto due = w.record.take_due(w.now);
      const bool both = due.v4 && due.v6;
      alone = denied == Family::kV4 ? !due.v6 : !due.v4;
      if (!alone) news = w.record.ended(failing, silent(), w.now, 0);
      if (alone || both) news = w.record.ended(denied, negative(Status::kNoData, 900), w.now, 0.5);
    }
    ASSERT_TRUE(alone);
    EXPECT_EQ(news.what, What::kFailed);
    EXPECT_EQ(news.why, "no answer");
    EXPECT_TRUE(news.silent);
  }
}

TEST(HostRecord, AGoodFamilyWaitsALittleForTheOtherAndIsThenToldAlone) {
  World w;
  w.round(good(kFour, 1), good(kSix, 1));
  w.now += seconds(1);
  w.record.take_due(w.now);
  EXPECT_EQ(w.record.next_event(), kNever);
  EXPECT_EQ(w.record.ended(Family::kV4, good(list({"192.0.2.9"})), w.now, 0).what, What::kNothing);
  EXPECT_EQ(w.wait(), HostRecord::kCompany);
  EXPECT_EQ(w.record.look(w.now).what, What::kNothing);
  w.now += HostRecord::kCompany;
  EXPECT_EQ(w.record.look(w.now).addresses, list({"192.0.2.9", "2001:db8::1"}));
  EXPECT_EQ(w.record.look(w.now).what, What::kNothing);
  EXPECT_EQ(w.record.ended(Family::kV6, silent(), w.now + seconds(2), 0).what, What::kNothing);
}

TEST(HostRecord, RememberedAddressesAreKeptByAFamilyUntilItsFirstGoodAnswer) {
  World w;
  w.record.remember(kBoth);
  EXPECT_EQ(w.round(good(list({"192.0.2.9"}), 30), silent()).addresses, list({"192.0.2.9", "2001:db8::1"}));
  EXPECT_EQ(w.round(good(list({"192.0.2.9"}), 30), negative()).addresses, list({"192.0.2.9", "2001:db8::1"}));
  EXPECT_EQ(w.round(good(list({"192.0.2.9"}), 30), good(list({"2001:db8::9"}))).addresses,
            list({"192.0.2.9", "2001:db8::9"}));
}

TEST(HostRecord, AtMost64AddressesWithRoomForBothFamilies) {
  const auto many = [](Family family, int n) {
    List all;
    for (int i = 0; i < n; ++i) {
      all.push_back(*IpAddress::parse((family == Family::kV4 ? "192.0.2." : "2001:db8::") + std::to_string(i)));
    }
    return all;
  };
  for (const auto& [v4, v6, expect4, expect6] :
       {std::tuple{64, 64, 32, 32}, std::tuple{64, 0, 64, 0}, std::tuple{64, 10, 54, 10}, std::tuple{10, 64, 10, 54}}) {
    World w;
    const auto news =
        w.round(v4 > 0 ? good(many(Family::kV4, v4)) : negative(), v6 > 0 ? good(many(Family::kV6, v6)) : negative());
    const auto count4 = std::count_if(news.addresses.begin(), news.addresses.end(),
                                      [](const IpAddress& a) { return a.family == Family::kV4; });
    EXPECT_EQ(count4, expect4);
    EXPECT_EQ(static_cast<int>(news.addresses.size()) - count4, expect6);
  }
}

TEST(HostRecord, OtherUpstreamsAreAskedAtOnceWhatFailedOrWasDenied) {
  World w;
  w.round(good(kFour, 1), good(kSix, 1));
  w.record.ask_again_if_failed(w.now);
  EXPECT_EQ(w.wait(), seconds(1));  // nothing had failed
  for (int i = 0; i < 4; ++i) w.round(bad(), bad());
  w.record.ask_again_if_failed(w.now);
  EXPECT_EQ(w.wait(), seconds(0));
  w.round(negative(Status::kNxDomain, 30), negative(Status::kNxDomain, 30));
  w.record.ask_again_if_failed(w.now);
  EXPECT_EQ(w.wait(), seconds(0));
}

}  // namespace
}  // namespace har::probe
