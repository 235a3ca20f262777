#include "health/content.h"

#include <gtest/gtest.h>

#include <array>

namespace har::health {
namespace {

using config::FailureMode;
using config::SelectionMethod;
using table::Kind;
using table::Order;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

class Content : public testing::Test {
 protected:
  Contender& add(const std::string& address, State state, std::uint32_t candidate = kNoPlace) {
    const auto index = static_cast<std::uint32_t>(contenders.size());
    Contender& c = contenders.emplace_back();
    c.address = ip(address);
    c.candidate = candidate == kNoPlace ? index : candidate;
    c.same_as = index;
    c.state = state;
    return c;
  }
  const table::SlotContent& make() {
    ranker.rank(name, contenders, Instant(std::chrono::seconds(1)), ranking);
    content = to_content(name, contenders, ranking);
    return content;
  }

  config::Name name;
  std::vector<Contender> contenders;
  Ranker ranker;
  Ranking ranking;
  table::SlotContent content;
};

TEST_F(Content, WithoutAnyAddressTheQueryIsForwardedWhateverTheMode) {
  for (const FailureMode mode : {FailureMode::kAll, FailureMode::kLast, FailureMode::kFixed, FailureMode::kForward,
                                 FailureMode::kNodata, FailureMode::kServfail}) {
    name.failure_mode = mode;
    name.fixed_addresses = {ip("192.0.2.9")};
    make();
    EXPECT_EQ(content.v4.kind, Kind::kForwardNotReady);
    EXPECT_EQ(content.v6.kind, Kind::kForwardNotReady);
    EXPECT_EQ(content.note, table::Note::kNotReady);
    EXPECT_EQ(describe(content), "not_ready");
  }
}

TEST_F(Content, OneAddressWithTheNamesTtl) {
  name.ttl = 7;
  add("192.0.2.1", State::kUp);
  add("192.0.2.2", State::kUp);
  make();
  EXPECT_EQ(content.v4.kind, Kind::kAddresses);
  EXPECT_EQ(content.v4.order, Order::kFirst);
  EXPECT_EQ(content.v4.count, 1);  // what no answer shows does not make a slot new
  EXPECT_EQ(content.v4.answer_count, 1);
  EXPECT_EQ(content.v4.addresses[0], ip("192.0.2.1").bytes);
  EXPECT_EQ(content.ttl, 7U);
  EXPECT_EQ(content.note, table::Note::kNone);
  EXPECT_EQ(describe(content), "192.0.2.1 | -");
}

TEST_F(Content, AFamilyWithoutUsableEndpointGetsNodataWhileTheOtherHasOne) {
  add("192.0.2.1", State::kDown);
  add("2001:db8::1", State::kUp);
  make();
  EXPECT_EQ(content.v4.kind, Kind::kNodata);
  EXPECT_EQ(content.v6.kind, Kind::kAddresses);
  EXPECT_EQ(content.note, table::Note::kNone);
}

TEST_F(Content, UnknownEndpointsAreAnsweredForASecondAtMost) {
  name.ttl = 30;
  add("192.0.2.1", State::kUnknown);
  EXPECT_EQ(make().ttl, 1U);
  EXPECT_EQ(content.note, table::Note::kNone);
  name.ttl = 0;
  EXPECT_EQ(make().ttl, 0U);
}

TEST_F(Content, AtMostEightAddressesAndAsManyAsAnswerCountSays) {
  name.answer_count = 8;
  for (int i = 1; i <= 12; ++i) add("192.0.2." + std::to_string(i), State::kUp);
  EXPECT_EQ(make().v4.count, 8);
  name.answer_count = 3;
  EXPECT_EQ(make().v4.count, 3);
  EXPECT_EQ(content.v4.answer_count, 3);
}

TEST_F(Content, AGroupStandsWholeHoweverFewAreAnswered) {
  name.selection_method = SelectionMethod::kGroupRttRr;
  for (int i = 1; i <= 12; ++i) add("192.0.2." + std::to_string(i), State::kUp);
  make();
  EXPECT_EQ(content.v4.order, Order::kInTurn);
  EXPECT_EQ(content.v4.count, 6) << "the other six have the next shift";
  EXPECT_EQ(content.v4.group, 6);
  EXPECT_EQ(content.v4.answer_count, 1);
  name.answer_count = 8;
  make();
  EXPECT_EQ(content.v4.count, 8);
  EXPECT_EQ(content.v4.group, 6);
}

TEST_F(Content, BehindAGroupStandsOnlyWhatAnAnswerHasRoomFor) {
  name.selection_method = SelectionMethod::kRandom;
  name.answer_count = 3;
  name.min_available = 4;
  add("192.0.2.1", State::kUp);
  add("192.0.2.2", State::kUp);
  add("192.0.2.3", State::kUp).tier = 1;
  add("192.0.2.4", State::kUp).tier = 1;
  make();
  EXPECT_EQ(content.v4.order, Order::kRandom);
  EXPECT_EQ(content.v4.group, 2);
  EXPECT_EQ(content.v4.count, 3);
}

TEST_F(Content, WeightsAreTheCandidates) {
  name.selection_method = SelectionMethod::kWeighted;
  add("192.0.2.1", State::kUp).weight = 1;
  add("192.0.2.2", State::kUp).weight = 3;
  make();
  EXPECT_EQ(content.v4.order, Order::kWeighted);
  EXPECT_EQ(content.v4.weights[0], 3);
  EXPECT_EQ(content.v4.addresses[0], ip("192.0.2.2").bytes);
  EXPECT_EQ(content.v4.weights[1], 1);
}

TEST_F(Content, ACandidatesWeightIsSharedByItsAddresses) {
  name.selection_method = SelectionMethod::kWeighted;
  add("192.0.2.1", State::kUp, 0).weight = 3;
  add("192.0.2.2", State::kUp, 0).weight = 3;
  add("192.0.2.3", State::kUp, 1).weight = 3;
  make();
  const auto& weights = content.v4.weights;
  EXPECT_EQ(weights[0], weights[1]);
  EXPECT_EQ(weights[0] + weights[1], weights[2]);
}

TEST_F(Content, HugeWeightsKeepTheirProportion) {
  name.selection_method = SelectionMethod::kWeighted;
  add("192.0.2.1", State::kUp).weight = 4'000'000'000;
  add("192.0.2.2", State::kUp).weight = 1'000'000'000;
  add("192.0.2.3", State::kUp).weight = 1;
  make();
  EXPECT_EQ(content.v4.weights[0], 65'535);
  EXPECT_NEAR(content.v4.weights[1], 65'535 / 4, 1);
  EXPECT_EQ(content.v4.weights[2], 1);  // small, but not never
}

TEST_F(Content, WeightZeroIsDrawnOnlyWhenNothingElseIsLeft) {
  name.selection_method = SelectionMethod::kWeighted;
  add("192.0.2.1", State::kUp).weight = 5;
  add("192.0.2.2", State::kUp).weight = 0;
  make();
  EXPECT_EQ(content.v4.weights[1], 0);
  contenders[0].state = State::kDown;
  make();
  EXPECT_EQ(content.v4.weights[0], 1);
}

// --- failure modes ---

TEST_F(Content, ModeAllAnswersEveryAddressWhateverAnswerCountSays) {
  name.ttl = 60;
  for (int i = 1; i <= 12; ++i) add("192.0.2." + std::to_string(i), State::kDown);
  contenders[11].last_success = Instant(std::chrono::seconds(5));
  make();
  EXPECT_EQ(content.v4.kind, Kind::kAddresses);
  EXPECT_EQ(content.v4.count, 8);
  EXPECT_EQ(content.v4.answer_count, 8);
  EXPECT_EQ(content.v4.addresses[0], ip("192.0.2.12").bytes);
  EXPECT_EQ(content.v6.kind, Kind::kNodata);  // no address of that family
  EXPECT_EQ(content.note, table::Note::kFailureMode);
  EXPECT_EQ(content.ttl, 1U);
}

TEST_F(Content, ModeAllWithEverythingDrainedIsNodata) {
  add("192.0.2.1", State::kUp).drained = true;
  make();
  EXPECT_EQ(content.v4.kind, Kind::kNodata);
  EXPECT_EQ(content.v6.kind, Kind::kNodata);
  EXPECT_EQ(content.note, table::Note::kFailureMode);
}

TEST_F(Content, ModeLastAnswersOne) {
  name.failure_mode = FailureMode::kLast;
  add("192.0.2.1", State::kDown);
  add("192.0.2.2", State::kDown).last_up = Instant(std::chrono::seconds(5));
  make();
  EXPECT_EQ(describe(content), "192.0.2.2 | -");
  EXPECT_EQ(content.v6.kind, Kind::kNodata);
}

TEST_F(Content, ModeFixedAnswersWhatIsWrittenButNeverADrainedAddress) {
  name.failure_mode = FailureMode::kFixed;
  name.fixed_addresses = {ip("192.0.2.1"), ip("198.51.100.1"), ip("198.51.100.2"), ip("198.51.100.1"),
                          ip("2001:db8::9")};
  add("192.0.2.1", State::kUp).drained = true;
  make();
  EXPECT_EQ(describe(content), "198.51.100.1,198.51.100.2 | 2001:db8::9");
}

TEST_F(Content, ModeFixedWithoutAddressesOfAFamilyIsNodataThere) {
  name.failure_mode = FailureMode::kFixed;
  name.fixed_addresses = {ip("2001:db8::9")};
  add("192.0.2.1", State::kDown);
  make();
  EXPECT_EQ(content.v4.kind, Kind::kNodata);
  EXPECT_EQ(content.v6.kind, Kind::kAddresses);
}

TEST_F(Content, TheOtherModesAreOneKindForBothFamilies) {
  add("192.0.2.1", State::kDown);
  const std::array<std::pair<FailureMode, Kind>, 3> modes = {{{FailureMode::kForward, Kind::kForward},
                                                              {FailureMode::kNodata, Kind::kNodata},
                                                              {FailureMode::kServfail, Kind::kServfail}}};
  for (const auto& [mode, kind] : modes) {
    name.failure_mode = mode;
    make();
    EXPECT_EQ(content.v4.kind, kind);
    EXPECT_EQ(content.v6.kind, kind);
    EXPECT_EQ(content.note, table::Note::kFailureMode);
  }
}

TEST_F(Content, ReasonsAreForPeople) {
  name.candidates.resize(2);
  name.candidates[1].tier = 1;
  add("192.0.2.1", State::kUp).rtt = std::chrono::microseconds(1234);
  add("2001:db8::1", State::kUp).tier = 1;
  make();
  EXPECT_EQ(reason(name, contenders, ranking), "best_rtt 1.2ms");
  contenders[0].state = State::kDown;
  make();
  EXPECT_EQ(reason(name, contenders, ranking), "best_rtt, tier 1");
  contenders[1].state = State::kUnknown;
  make();
  EXPECT_EQ(reason(name, contenders, ranking), "best_rtt, not yet observed, tier 1");
  contenders[1].state = State::kDown;
  make();
  EXPECT_EQ(reason(name, contenders, ranking), "failure_mode all");
}

}  // namespace
}  // namespace har::health
