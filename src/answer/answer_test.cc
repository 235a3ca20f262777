#include "answer/answer.h"

#include <gtest/gtest.h>

#include <set>

#include "answer/answer_testing.h"
#include "table/table_testing.h"

namespace har::answer {
namespace {

using namespace har::answer::testing;
using namespace har::table::testing;
using table::Kind;
using table::Note;
using table::Order;
using table::SlotContent;

constexpr Instant kNow{std::chrono::hours(100)};

// a.example answers, open.example lets HTTPS records through; both start with two addresses a family.
class Answer : public ::testing::Test {
 protected:
  Answer() : table(plan()), turns(1, 2) {
    SlotContent content;
    content.v4 = answer_of({"192.0.2.1", "192.0.2.2"}, Order::kFirst, 1);
    content.v6 = answer_of({"2001:db8::1", "2001:db8::2"}, Order::kFirst, 1);
    table.writer.write(0, content);
    table.writer.write(1, content);
    table.writer.beat(kNow);
  }

  static table::Plan plan() {
    auto plan = plan_of({"a.example", "open.example"});
    plan.names[1].https_forward = true;
    return plan;
  }

  void set(const table::FamilyAnswer& v4, const table::FamilyAnswer& v6, std::uint32_t ttl = 0,
           Note note = Note::kNone) {
    table.writer.write(0, {v4, v6, ttl, note});
  }

  Decision decide(const Bytes& packet, Transport transport = Transport::kUdp) {
    out.assign(4096, 0xEE);
    const Bytes exact = packet;  // an allocation of its own size: the sanitizer sees a read past it
    const auto decision = answer::decide(exact, transport, table.reader, turns, now, out);
    if (decision.verdict == Verdict::kReply) {
      EXPECT_LE(decision.reply_size, out.size());
      out.resize(decision.reply_size);
    }
    return decision;
  }
  Parsed reply_to(const Ask& ask, Transport transport = Transport::kUdp) {
    const auto decision = decide(packet_of(ask), transport);
    EXPECT_EQ(decision.verdict, Verdict::kReply);
    return Parsed(decision.verdict == Verdict::kReply ? out : Bytes(12));
  }
  void expect_forward(const Ask& ask, Rule rule, std::uint32_t slot = 0, bool zone_transfer = false) {
    const auto decision = decide(packet_of(ask));
    EXPECT_EQ(decision.verdict, Verdict::kForward);
    EXPECT_EQ(decision.rule, rule);
    EXPECT_EQ(decision.slot, slot);
    EXPECT_EQ(decision.zone_transfer, zone_transfer);
  }
  void expect_nodata(const Parsed& reply, const std::string& owner) {
    EXPECT_EQ(reply.rcode, dns::kNoError);
    EXPECT_TRUE(reply.has(dns::kAa));
    EXPECT_TRUE(reply.has(dns::kRa));
    EXPECT_TRUE(reply.answers.empty());
    ASSERT_EQ(reply.authorities.size(), 1u);
    EXPECT_EQ(reply.authorities[0].owner, owner);
    EXPECT_EQ(reply.authorities[0].ttl, 1u);
    EXPECT_EQ(reply.soa_minimum, 1u);
  }

  Table table;
  Turns turns;
  Instant now = kNow;
  Bytes out;
};

TEST_F(Answer, ToAIsTheBestAddressByteForByte) {
  set(answer_of({"192.0.2.1", "192.0.2.2"}, Order::kFirst, 1), only(Kind::kNodata), 5);
  const auto decision = decide(packet_of({.name = "A.eXample"}));
  EXPECT_EQ(decision.verdict, Verdict::kReply);
  EXPECT_EQ(decision.slot, 0u);
  EXPECT_FALSE(decision.formerr);
  const Bytes expected{0x12, 0x34, 0x85, 0x80, 0,   1,   0,   1,   0,   0,   0, 0,             // QR AA RD RA
                       1,    'A',  7,    'e',  'X', 'a', 'm', 'p', 'l', 'e', 0, 0, 1,   0, 1,  // as it was asked
                       0xC0, 12,   0,    1,    0,   1,   0,   0,   0,   5,   0, 4, 192, 0, 2, 1};
  EXPECT_EQ(out, expected);
}

TEST_F(Answer, ToAaaaIsTheBestAddressByteForByte) {
  decide(packet_of({.type = dns::kTypeAaaa, .opt = Opt{.size = 4096, .dnssec_ok = true}, .flags = 0, .id = 7}));
  const Bytes expected{0, 7,   0x84, 0x80, 0,   1,   0,   1,   0,    0,    0,   1,  // QR AA RA
                       1, 'a', 7,    'e',  'x', 'a', 'm', 'p', 'l',  'e',  0,   0,    28,   0, 1, 0xC0, 12, 0, 28,
                       0, 1,   0,    0,    0,   0,   0,   16,  0x20, 1,    0xD, 0xB8, 0,    0, 0, 0,    0,  0, 0,
                       0, 0,   0,    0,    1,   0,   0,   41,  0x04, 0xD0, 0,   0,    0x80, 0, 0, 0};  // 1232, DO
  EXPECT_EQ(out, expected);
}

TEST_F(Answer, CopiesRdAndCdAndClearsAdZAndTc) {
  constexpr dns::Flag kFlags[] = {dns::kRd, dns::kCd, dns::kAd, dns::kZ, dns::kTc, dns::kAa, dns::kRa};
  for (unsigned bits = 0; bits < 0x80; ++bits) {
    unsigned flags = 0;
    for (std::size_t i = 0; i < std::size(kFlags); ++i) flags |= (bits >> i & 1) * kFlags[i];
    const auto reply = reply_to({.flags = flags});
    EXPECT_EQ(reply.flags, dns::kQr | dns::kAa | dns::kRa | (flags & (dns::kRd | dns::kCd)));
    EXPECT_EQ(reply.addresses(), "192.0.2.1");
  }
}

TEST_F(Answer, CarriesAnswerCountAddressesBestFirst) {
  set(answer_of({"192.0.2.3", "192.0.2.1", "192.0.2.2"}, Order::kFirst, 2), only(Kind::kNodata));
  EXPECT_EQ(reply_to({}).addresses(), "192.0.2.3 192.0.2.1");
  set(answer_of({"192.0.2.3", "192.0.2.1"}, Order::kFirst, 8), only(Kind::kNodata));
  EXPECT_EQ(reply_to({}).addresses(), "192.0.2.3 192.0.2.1");
}

TEST_F(Answer, ToAnyIsAAndAaaaTogether) {
  const auto reply = reply_to({.type = dns::kTypeAny});
  EXPECT_EQ(reply.addresses(), "192.0.2.1 2001:db8::1");
  EXPECT_TRUE(reply.authorities.empty());
  set(only(Kind::kNodata), answer_of({"2001:db8::9"}));
  EXPECT_EQ(reply_to({.type = dns::kTypeAny}).addresses(), "2001:db8::9");
  set(only(Kind::kNodata), only(Kind::kNodata));
  expect_nodata(reply_to({.type = dns::kTypeAny}), "a.example");
  set(only(Kind::kForward), only(Kind::kForward));
  expect_forward({.type = dns::kTypeAny}, Rule::kNameExists);
  set(only(Kind::kForwardNotReady), only(Kind::kForwardNotReady));
  expect_forward({.type = dns::kTypeAny}, Rule::kNotReady);
  set(only(Kind::kServfail), only(Kind::kServfail));
  EXPECT_EQ(reply_to({.type = dns::kTypeAny}).rcode, dns::kServFail);
}

TEST_F(Answer, OfAFamilyWithoutAddressesIsNodataWithTheNamesSoa) {
  set(answer_of({"192.0.2.1"}), only(Kind::kNodata));
  expect_nodata(reply_to({.name = "A.example", .type = dns::kTypeAaaa}), "A.example");
  EXPECT_EQ(reply_to({}).addresses(), "192.0.2.1");
  set(answer_of({}), only(Kind::kNodata));  // "addresses", but there are none
  expect_nodata(reply_to({}), "a.example");
}

TEST_F(Answer, FollowsTheKindOfTheSlot) {
  set(only(Kind::kForward), only(Kind::kForward));
  expect_forward({}, Rule::kNameExists);
  expect_forward({.type = dns::kTypeAaaa}, Rule::kNameExists);
  set(only(Kind::kForwardNotReady), only(Kind::kForwardNotReady));
  expect_forward({}, Rule::kNotReady);
  expect_forward({.type = dns::kTypeAaaa}, Rule::kNotReady);
  set(only(Kind::kServfail), only(Kind::kServfail), 1, Note::kFailureMode);
  const auto reply = reply_to({.opt = Opt{}});
  EXPECT_EQ(reply.rcode, dns::kServFail);
  EXPECT_TRUE(reply.answers.empty());
  EXPECT_TRUE(reply.authorities.empty());
  EXPECT_EQ(reply.ede, dns::kEdeOther);
}

TEST_F(Answer, IsOnlyForTheWholeName) {
  for (const char* name : {"b.a.example", "example", "a.example.evil.org", "aa.example", "a.exampl", ""}) {
    expect_forward({.name = name}, Rule::kPass, table::kNoSlot);
    expect_forward({.name = name, .type = dns::kTypeHttps}, Rule::kPass, table::kNoSlot);
  }
}

TEST_F(Answer, OtherTypesAreForwardedAndTheNameExists) {
  for (const unsigned type : {2u, 5u, 6u, 12u, 15u, 16u, 33u, 43u, 48u, 255u - 2u, 256u, 257u, 65280u, 0u, 41u}) {
    expect_forward({.type = type}, Rule::kNameExists);
  }
}

TEST_F(Answer, ZoneTransfersAreMarked) {
  expect_forward({.type = dns::kTypeAxfr}, Rule::kNameExists, 0, true);
  expect_forward({.name = "zone.example", .type = dns::kTypeAxfr}, Rule::kPass, table::kNoSlot, true);
  expect_forward({.name = "zone.example", .type = dns::kTypeIxfr}, Rule::kPass, table::kNoSlot, true);
  expect_forward({.name = "zone.example", .type = dns::kTypeSoa}, Rule::kPass, table::kNoSlot, false);
}

TEST_F(Answer, HttpsAndSvcbAreNodataUnlessTheNameForwardsThem) {
  for (const unsigned type : {64u, 65u}) {
    expect_nodata(reply_to({.type = type}), "a.example");
    expect_nodata(reply_to({.name = "_https.A.Example", .type = type}), "A.Example");
    expect_nodata(reply_to({.name = "_8443._https.a.example", .type = type}), "a.example");
    EXPECT_EQ(decide(packet_of({.name = "_8443._https.a.example", .type = type})).slot, 0u);
    expect_forward({.name = "_x._8443._https.a.example", .type = type}, Rule::kPass, table::kNoSlot);
    expect_forward({.name = "x._https.a.example", .type = type}, Rule::kPass, table::kNoSlot);
    expect_forward({.name = "_https.b.example", .type = type}, Rule::kPass, table::kNoSlot);
    expect_forward({.name = "_https", .type = type}, Rule::kPass, table::kNoSlot);
    expect_forward({.name = "open.example", .type = type}, Rule::kNameExists, 1);
    expect_forward({.name = "_8443._https.open.example", .type = type}, Rule::kPass, table::kNoSlot);
  }
  expect_forward({.name = "_8443._https.a.example", .type = dns::kTypeA}, Rule::kPass, table::kNoSlot);
  expect_forward({.name = "_https.a.example", .type = dns::kTypeTxt}, Rule::kPass, table::kNoSlot);
}

TEST_F(Answer, HttpsIsNodataInEveryStateOfTheName) {
  for (const Kind kind : {Kind::kForward, Kind::kForwardNotReady, Kind::kServfail, Kind::kNodata}) {
    set(only(kind), only(kind), 1, Note::kFailureMode);
    const auto reply = reply_to({.type = dns::kTypeHttps, .opt = Opt{}});
    expect_nodata(reply, "a.example");
    EXPECT_FALSE(reply.ede) << "this answer does not come from the failure mode";
  }
}

TEST_F(Answer, OtherClassesAreForwardedUntouched) {
  for (const unsigned qclass : {3u, 4u, 254u, 255u}) {
    expect_forward({.qclass = qclass}, Rule::kPass, table::kNoSlot);
    expect_forward({.type = dns::kTypeHttps, .qclass = qclass}, Rule::kPass, table::kNoSlot);
  }
}

TEST_F(Answer, OtherOpcodesAreForwardedWhateverTheyHold) {
  for (unsigned opcode = 1; opcode < 16; ++opcode) {
    auto packet = packet_of({.flags = opcode << 11});
    for (const std::size_t size : {packet.size(), std::size_t{13}, std::size_t{12}}) {
      packet.resize(size);
      const auto decision = decide(packet);
      EXPECT_EQ(decision.verdict, Verdict::kForward);
      EXPECT_EQ(decision.rule, Rule::kPass);
      EXPECT_FALSE(decision.zone_transfer);
    }
  }
}

TEST_F(Answer, IsNothingToWhatIsNoQuery) {
  const auto packet = packet_of({});
  for (std::size_t size = 0; size < 12; ++size) {
    EXPECT_EQ(decide(Bytes(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size))).verdict,
              Verdict::kDrop);
  }
  EXPECT_EQ(decide(packet_of({.flags = dns::kQr})).verdict, Verdict::kDrop);
  EXPECT_EQ(decide(packet_of({.flags = dns::kQr | 5u << 11})).verdict, Verdict::kDrop);
}

TEST_F(Answer, IsFormerrToAQuestionThatCannotBeRead) {
  const auto whole = packet_of({.flags = dns::kRd | dns::kCd});
  for (std::size_t size = 12; size < whole.size(); ++size) {
    const auto decision = decide(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_EQ(decision.verdict, Verdict::kReply);
    EXPECT_TRUE(decision.formerr);
    const Bytes expected{0x12, 0x34, 0x81, 0x91, 0, 0, 0, 0, 0, 0, 0, 0};
    EXPECT_EQ(out, expected);
  }
}

TEST_F(Answer, IsFormerrToAnyNumberOfQuestionsButOne) {
  for (const std::uint8_t questions : {std::uint8_t{0}, std::uint8_t{2}, std::uint8_t{255}}) {
    auto packet = packet_of({});
    packet[5] = questions;
    const auto decision = decide(packet);
    ASSERT_EQ(decision.verdict, Verdict::kReply);
    EXPECT_TRUE(decision.formerr);
    EXPECT_EQ(Parsed(out).rcode, dns::kFormErr);
  }
}

TEST_F(Answer, HasAnOptIfAndOnlyIfTheQueryHadOne) {
  EXPECT_FALSE(reply_to({}).opt);
  for (const bool dnssec_ok : {false, true}) {
    const auto reply = reply_to({.opt = Opt{.size = 512, .dnssec_ok = dnssec_ok}});
    ASSERT_TRUE(reply.opt);
    EXPECT_EQ(reply.opt->size, 1232);
    EXPECT_EQ(reply.opt->dnssec_ok, dnssec_ok);
    EXPECT_EQ(reply.opt->version, 0);
    EXPECT_FALSE(reply.ede);
  }
}

TEST_F(Answer, IsBadversToALaterEdnsOnlyWhereItIsOurOwn) {
  for (const unsigned type : {1u, 28u, 255u, 65u}) {
    const auto reply = reply_to({.type = type, .opt = Opt{.version = 1}});
    EXPECT_EQ(reply.rcode, dns::kBadVers);
    EXPECT_TRUE(reply.answers.empty());
    ASSERT_TRUE(reply.opt);
    EXPECT_EQ(reply.opt->version, 0);
  }
  expect_forward({.type = dns::kTypeMx, .opt = Opt{.version = 1}}, Rule::kNameExists);
  expect_forward({.name = "b.example", .opt = Opt{.version = 1}}, Rule::kPass, table::kNoSlot);
  set(only(Kind::kForward), only(Kind::kForward));
  expect_forward({.opt = Opt{.version = 1}}, Rule::kNameExists);
}

TEST_F(Answer, IsFormerrToMalformedEdnsOnlyWhereItIsOurOwn) {
  const Opt bad{.options = {0, 3, 0, 9, 1}};  // an option longer than what is there
  for (const unsigned type : {1u, 28u, 255u, 65u}) {
    const auto decision = decide(packet_of({.type = type, .opt = bad}));
    ASSERT_EQ(decision.verdict, Verdict::kReply);
    EXPECT_TRUE(decision.formerr);
    EXPECT_EQ(Parsed(out).rcode, dns::kFormErr);
  }
  expect_forward({.name = "b.example", .opt = bad}, Rule::kPass, table::kNoSlot);
  expect_forward({.type = dns::kTypeTxt, .opt = bad}, Rule::kNameExists);

  auto twice = packet_of({.opt = Opt{}});
  append_opt(twice, Opt{});
  twice[11] = 2;
  EXPECT_TRUE(decide(twice).formerr);
  EXPECT_EQ(Parsed(out).rcode, dns::kFormErr);
}

TEST_F(Answer, SaysWhyInAnExtendedErrorOnlyToAClientWithEdns) {
  set(answer_of({"192.0.2.1"}), only(Kind::kNodata), 1, Note::kFailureMode);
  EXPECT_FALSE(reply_to({}).opt);
  auto reply = reply_to({.opt = Opt{}});
  EXPECT_EQ(reply.ede, dns::kEdeOther);
  EXPECT_EQ(reply.ede_text, "no candidate is up");
  EXPECT_EQ(reply.addresses(), "192.0.2.1");
  EXPECT_EQ(reply.answers[0].ttl, 1u);
  reply = reply_to({.type = dns::kTypeAaaa, .opt = Opt{}});
  expect_nodata(reply, "a.example");
  EXPECT_EQ(reply.ede, dns::kEdeOther);
  set(answer_of({"192.0.2.1"}), only(Kind::kNodata), 1, Note::kNotReady);
  EXPECT_EQ(reply_to({.opt = Opt{}}).ede, dns::kEdeNotReady);
}

TEST_F(Answer, IsMarkedStaleOnceTheWriterHasBeenSilentForLongerThanStateMaxAge) {
  now = kNow + std::chrono::hours(1);
  EXPECT_FALSE(reply_to({.opt = Opt{}}).ede);
  now += std::chrono::nanoseconds(1);
  EXPECT_EQ(reply_to({.opt = Opt{}}).ede, dns::kEdeStaleAnswer);
  EXPECT_EQ(reply_to({.opt = Opt{}}).addresses(), "192.0.2.1");
  EXPECT_FALSE(reply_to({}).opt);
  EXPECT_FALSE(reply_to({.type = dns::kTypeHttps, .opt = Opt{}}).ede) << "does not depend on health";
  now = kNow - std::chrono::hours(5);  // the writer's beat is newer than the caller's `now`
  EXPECT_FALSE(reply_to({.opt = Opt{}}).ede);

  Table never(plan());
  never.writer.write(0, {answer_of({"192.0.2.1"}), only(Kind::kNodata), 0, Note::kNone});
  Bytes reply(4096);
  const auto packet = packet_of({.opt = Opt{}});
  reply.resize(answer::decide(packet, Transport::kUdp, never.reader, turns, kNow, reply).reply_size);
  EXPECT_FALSE(Parsed(reply).ede);
}

TEST_F(Answer, IsNotStaleBetweenTwoBeatsOfAWriterThatBelievesNoStoredState) {
  table::Plan no_age = plan();
  no_age.limits.state_max_age_ns = 0;
  Table fresh(no_age);
  fresh.writer.write(0, {answer_of({"192.0.2.1"}), only(Kind::kNodata), 0, Note::kNone});
  fresh.writer.beat(kNow);
  const auto packet = packet_of({.opt = Opt{}});
  for (const int after_ms : {500, 3000}) {
    Bytes reply(4096);
    const Instant then = kNow + std::chrono::milliseconds(after_ms);
    reply.resize(answer::decide(packet, Transport::kUdp, fresh.reader, turns, then, reply).reply_size);
    EXPECT_EQ(Parsed(reply).ede.has_value(), after_ms > 2000) << after_ms;
  }
}

TEST_F(Answer, SaysThatTheHostHasNoNetwork) {
  table.writer.set_network_lost(true);
  const auto reply = reply_to({.opt = Opt{}});
  EXPECT_EQ(reply.ede, dns::kEdeStaleAnswer);
  EXPECT_EQ(reply.ede_text, "the host has no network");
  EXPECT_EQ(reply.addresses(), "192.0.2.1") << "the last good answer all the same";
  EXPECT_FALSE(reply_to({}).opt);
  EXPECT_FALSE(reply_to({.type = dns::kTypeHttps, .opt = Opt{}}).ede) << "does not depend on health";
  now = kNow + std::chrono::hours(2);
  EXPECT_EQ(reply_to({.opt = Opt{}}).ede_text, "the checker is gone") << "who knows whether there is one by now";
  now = kNow;
  table.writer.set_network_lost(false);
  EXPECT_FALSE(reply_to({.opt = Opt{}}).ede);
}

std::string long_name() {
  return std::string(63, 'x') + "." + std::string(63, 'y') + "." + std::string(63, 'z') + "." + std::string(61, 'w');
}

TEST_F(Answer, ThatDoesNotFitIsTruncatedAtTheClientsLimit) {
  Table big(plan_of({long_name()}));
  Turns big_turns(1, 1);
  SlotContent content;
  content.v4 = answer_of(
      {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8"});
  content.v6 = answer_of({"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5", "2001:db8::6",
                          "2001:db8::7", "2001:db8::8"});
  big.writer.write(0, content);
  const auto ask = [&](std::optional<Opt> opt, Transport transport) {
    Bytes reply(4096);
    const auto packet = packet_of({.name = long_name(), .type = dns::kTypeAny, .opt = std::move(opt)});
    reply.resize(answer::decide(packet, transport, big.reader, big_turns, kNow, reply).reply_size);
    return reply;
  };
  // 12 + 259 + 8 * 16 + 8 * 28 = 623 octets, and 11 for the OPT
  struct Case {
    std::optional<Opt> opt;
    Transport transport;
    std::size_t limit;
    std::size_t answers;
  };
  const Case cases[] = {{std::nullopt, Transport::kUdp, 512, 12},     {Opt{.size = 0}, Transport::kUdp, 512, 11},
                        {Opt{.size = 512}, Transport::kUdp, 512, 11}, {Opt{.size = 633}, Transport::kUdp, 633, 15},
                        {Opt{.size = 634}, Transport::kUdp, 634, 16}, {Opt{.size = 65535}, Transport::kUdp, 1232, 16},
                        {std::nullopt, Transport::kTcp, 65535, 16},   {Opt{.size = 512}, Transport::kTcp, 65535, 16}};
  for (const auto& [opt, transport, limit, answers] : cases) {
    const auto bytes = ask(opt, transport);
    EXPECT_LE(bytes.size(), limit);
    const Parsed reply(bytes);
    EXPECT_EQ(reply.answers.size(), answers);
    EXPECT_EQ(reply.has(dns::kTc), answers < 16);
    EXPECT_EQ(reply.opt.has_value(), opt.has_value());
  }
}

TEST_F(Answer, TakesTurnsInTheGroupAndFillsUpFromBehindIt) {
  auto v4 = answer_of({"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}, Order::kInTurn, 1);
  v4.group = 3;
  auto v6 = answer_of({"2001:db8::1", "2001:db8::2"}, Order::kInTurn, 1);
  set(v4, v6);
  // A and AAAA of one client do not lock step: each family counts for itself.
  EXPECT_EQ(reply_to({}).addresses(), "192.0.2.1");
  EXPECT_EQ(reply_to({.type = dns::kTypeAaaa}).addresses(), "2001:db8::1");
  EXPECT_EQ(reply_to({}).addresses(), "192.0.2.2");
  EXPECT_EQ(reply_to({.type = dns::kTypeAaaa}).addresses(), "2001:db8::2");
  EXPECT_EQ(reply_to({}).addresses(), "192.0.2.3");
  EXPECT_EQ(reply_to({.type = dns::kTypeAaaa}).addresses(), "2001:db8::1");
  EXPECT_EQ(reply_to({}).addresses(), "192.0.2.1");
  v4.answer_count = 4;
  set(v4, v6);
  EXPECT_EQ(reply_to({}).addresses(), "192.0.2.2 192.0.2.3 192.0.2.1 192.0.2.4");
}

TEST_F(Answer, DropsTheEdnsRulesForAForwardedNameWhoseTableSaysForward) {
  set(only(Kind::kForwardNotReady), only(Kind::kForwardNotReady));
  expect_forward({.opt = Opt{.options = {1}}}, Rule::kNotReady);
}

// Whatever stands in a packet: never a read past it, and only whole replies (ASan and the parser watch).
TEST_F(Answer, SurvivesEveryOctetOfAQueryBeingAnything) {
  const auto packet =
      packet_of({.name = "_1._https.a.example", .type = dns::kTypeHttps, .opt = Opt{.options = {0, 10, 0, 1, 9}}});
  std::set<Verdict> seen;
  for (std::size_t at = 0; at < packet.size(); ++at) {
    for (unsigned value = 0; value < 256; ++value) {
      auto changed = packet;
      changed[at] = static_cast<std::uint8_t>(value);
      const auto decision = decide(changed);
      seen.insert(decision.verdict);
      if (decision.verdict == Verdict::kReply) {
        const Parsed reply(out);
        EXPECT_TRUE(reply.has(dns::kQr));
        EXPECT_LE(out.size(), 1232u);
      }
    }
  }
  EXPECT_EQ(seen.size(), 3u);
}

}  // namespace
}  // namespace har::answer
