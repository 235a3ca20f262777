// What becomes of the upstream's reply: finish() and servfail().
#include <gtest/gtest.h>

#include <algorithm>

#include "answer/answer.h"
#include "answer/answer_testing.h"
#include "dns/cookie.h"

namespace har::answer {
namespace {

using namespace har::answer::testing;

struct Upstream {
  unsigned rcode = dns::kNoError;  // with its upper bits, which need an OPT
  unsigned answers = 0;
  unsigned flags = 0;
  bool opt = false;
};

Bytes upstream_reply(const Ask& ask, const Upstream& from) {
  Ask question = ask;
  question.opt.reset();
  question.flags = dns::kQr | dns::kRd | dns::kRa | from.flags | (from.rcode & 0xF);
  Bytes out = packet_of(question);
  out[7] = static_cast<std::uint8_t>(from.answers);
  for (unsigned i = 0; i < from.answers; ++i) {
    append(out, Bytes{0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1});
  }
  if (from.opt) {
    out[11] = 1;
    append(out, Bytes{0, 0, 41, 0x10, 0, static_cast<std::uint8_t>(from.rcode >> 4), 0, 0, 0, 0, 0});
  }
  return out;
}

Bytes finished_with(Rule rule, const Ask& ask, const Bytes& reply, bool cookies_seen = false) {
  Bytes out(4096);
  out.resize(finish(rule, packet_of(ask), Transport::kUdp, reply, out, cookies_seen));
  return out;
}
Bytes finished(Rule rule, const Ask& ask, const Upstream& from) {
  return finished_with(rule, ask, upstream_reply(ask, from));
}

TEST(Finish, PassesEverythingWithoutARule) {
  for (const unsigned rcode : {0u, 2u, 3u, 5u}) EXPECT_TRUE(finished(Rule::kPass, {}, {.rcode = rcode}).empty());
}

TEST(Finish, NxdomainOfAConfiguredNameBecomesOurNodata) {
  const Ask ask{.name = "A.example", .type = dns::kTypeMx, .opt = Opt{.dnssec_ok = true}, .id = 0xBEEF};
  for (const bool opt : {false, true}) {
    const Parsed reply(finished(Rule::kNameExists, ask, {.rcode = dns::kNxDomain, .opt = opt}));
    EXPECT_EQ(reply.id, 0xBEEFu);
    EXPECT_EQ(reply.rcode, dns::kNoError);
    EXPECT_EQ(reply.flags, dns::kQr | dns::kAa | dns::kRd | dns::kRa);
    EXPECT_TRUE(reply.answers.empty());
    ASSERT_EQ(reply.authorities.size(), 1u);
    EXPECT_EQ(reply.authorities[0].owner, "A.example");
    EXPECT_EQ(reply.authorities[0].ttl, 1u);
    EXPECT_EQ(reply.soa_minimum, 1u);
    ASSERT_TRUE(reply.opt);
    EXPECT_TRUE(reply.opt->dnssec_ok);
  }
}

TEST(Finish, EverythingElseOfAConfiguredNamePasses) {
  EXPECT_TRUE(finished(Rule::kNameExists, {}, {.rcode = dns::kNxDomain, .answers = 1}).empty());
  for (const unsigned rcode : {0u, 1u, 2u, 4u, 5u}) {
    EXPECT_TRUE(finished(Rule::kNameExists, {}, {.rcode = rcode}).empty());
  }
  EXPECT_TRUE(finished(Rule::kNameExists, {}, {.answers = 2}).empty());
}

TEST(Finish, ANegativeAnswerForANameThatIsNotReadyBecomesServfail) {
  const Ask ask{.opt = Opt{}};
  for (const Upstream from : {Upstream{.rcode = dns::kNxDomain}, Upstream{.rcode = dns::kNxDomain, .answers = 1},
                              Upstream{}, Upstream{.opt = true}}) {
    const Parsed reply(finished(Rule::kNotReady, ask, from));
    EXPECT_EQ(reply.rcode, dns::kServFail);
    EXPECT_EQ(reply.id, 0x1234u);
    EXPECT_EQ(reply.ede, dns::kEdeNotReady);
    EXPECT_EQ(reply.question, Parsed(upstream_reply(ask, {})).question);
  }
  EXPECT_FALSE(Parsed(finished(Rule::kNotReady, {}, {.rcode = dns::kNxDomain})).opt);
}

// RFC 2308 2.2: no data, but a CNAME before it.
TEST(Finish, ACnameToNothingForANameThatIsNotReadyBecomesServfailToo) {
  const Ask ask{.opt = Opt{}};
  Bytes reply = upstream_reply(ask, {});
  reply[7] = 1;
  append(reply, Bytes{0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xC0, 12});
  EXPECT_EQ(Parsed(finished_with(Rule::kNotReady, ask, reply)).rcode, dns::kServFail);
  EXPECT_TRUE(finished_with(Rule::kNameExists, ask, reply).empty());
  reply[7] = 2;
  append(reply, Bytes{0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1});
  EXPECT_TRUE(finished_with(Rule::kNotReady, ask, reply).empty());
}

TEST(Finish, EverythingElseForANameThatIsNotReadyPasses) {
  EXPECT_TRUE(finished(Rule::kNotReady, {}, {.answers = 1}).empty());
  for (const unsigned rcode : {1u, 2u, 4u, 5u}) EXPECT_TRUE(finished(Rule::kNotReady, {}, {.rcode = rcode}).empty());
  // Truncated: the answers may just not have fitted. The client asks again over TCP.
  EXPECT_TRUE(finished(Rule::kNotReady, {}, {.flags = dns::kTc}).empty());
}

TEST(Finish, ReadsTheUpperBitsOfTheRcode) {
  EXPECT_TRUE(finished(Rule::kNotReady, {}, {.rcode = dns::kBadVers, .opt = true}).empty()) << "BADVERS, not NOERROR";
  EXPECT_TRUE(finished(Rule::kNameExists, {}, {.rcode = 19, .opt = true}).empty()) << "BADMODE, not NXDOMAIN";
}

TEST(Finish, SurvivesRepliesCutAnywhere) {
  const Ask ask{.opt = Opt{}};
  const auto whole = upstream_reply(ask, {.rcode = dns::kNxDomain, .opt = true});
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    for (const Rule rule : {Rule::kPass, Rule::kNameExists, Rule::kNotReady}) {
      const auto out = finished_with(rule, ask, cut);
      EXPECT_EQ(out.empty(), rule == Rule::kPass || size < 12);
      if (!out.empty()) Parsed{out};
    }
  }
}

Bytes cookie_option(std::size_t size) {
  Bytes option{0, 10, 0, static_cast<std::uint8_t>(size)};
  for (std::size_t i = 1; i <= size; ++i) option.push_back(static_cast<std::uint8_t>(i));
  return option;
}
Ask with_option(const Bytes& option, std::uint16_t udp_size = 1232) {
  return {.opt = Opt{.size = udp_size, .options = option}};
}
// With one answer and an OPT that holds `option`.
Bytes reply_with(const Bytes& option) {
  Bytes reply = upstream_reply({}, {.answers = 1, .opt = true});
  reply.back() = static_cast<std::uint8_t>(option.size());
  append(reply, option);
  return reply;
}

TEST(Finish, AReplyWithoutCookieTakesTheClientsOwnBack) {
  const Bytes option = cookie_option(16);
  const Ask ask = with_option(option);
  for (const Rule rule : {Rule::kPass, Rule::kNameExists, Rule::kNotReady}) {
    EXPECT_EQ(finished_with(rule, ask, reply_with({})), reply_with(option));
  }
  EXPECT_TRUE(finished(Rule::kPass, ask, {.answers = 1}).empty()) << "no EDNS there";
  EXPECT_TRUE(finished_with(Rule::kPass, {.opt = Opt{}}, reply_with({})).empty()) << "none was asked for";
  Bytes out(4096);
  bool cookies_seen = false;
  EXPECT_EQ(finish(Rule::kPass, packet_of(ask), Transport::kTcp, reply_with({}), out, cookies_seen), 0u);
  EXPECT_FALSE(finished(Rule::kPass, with_option(option, 512), {.answers = 28, .opt = true}).empty());
  EXPECT_TRUE(finished(Rule::kPass, with_option(option, 512), {.answers = 29, .opt = true}).empty()) << "no room";
  EXPECT_FALSE(finished(Rule::kPass, with_option(option, 4096), {.answers = 200, .opt = true}).empty());
}

// c-ares demands a server's part of whoever has given it one before, also when it has made itself a new client's part.
TEST(Finish, AClientsPartAloneGetsAServersPartWhereAnUpstreamHasGivenOne) {
  const Ask ask = with_option(cookie_option(8));
  EXPECT_TRUE(finished_with(Rule::kPass, ask, reply_with({})).empty()) << "nobody here has cookies";

  Bytes out(4096);
  bool cookies_seen = false;
  EXPECT_EQ(finish(Rule::kPass, packet_of(ask), Transport::kUdp, reply_with({}), out, cookies_seen), 0u);
  EXPECT_FALSE(cookies_seen);
  EXPECT_EQ(finish(Rule::kPass, packet_of(ask), Transport::kUdp, reply_with(cookie_option(24)), out, cookies_seen), 0u);
  EXPECT_TRUE(cookies_seen);

  Bytes both = cookie_option(8);
  both[3] = 16;
  append(both, dns::kServersPart);
  EXPECT_EQ(finished_with(Rule::kPass, ask, reply_with({}), true), reply_with(both));
  // Ours as well.
  const Bytes nodata = finished_with(Rule::kNameExists, ask, upstream_reply(ask, {.rcode = dns::kNxDomain}), true);
  EXPECT_TRUE(std::equal(both.rbegin(), both.rend(), nodata.rbegin()));
  for (const bool seen : {false, true}) {
    Bytes failed(4096);
    failed.resize(servfail(packet_of(ask), Transport::kUdp, Failure::kOverload, failed, seen));
    EXPECT_EQ(std::search(failed.begin(), failed.end(), both.begin(), both.end()) != failed.end(), seen);
  }
}

Bytes servfail_to(const Bytes& query, Failure why) {
  Bytes out(4096);
  out.resize(servfail(query, Transport::kUdp, why, out));
  return out;
}

TEST(Servfail, SaysWhyToAClientWithEdns) {
  const std::pair<Failure, unsigned> cases[] = {
      {Failure::kNoUpstream, 22}, {Failure::kNotReady, 14}, {Failure::kOverload, 0}};
  for (const auto& [why, code] : cases) {
    const Parsed reply(servfail_to(packet_of({.name = "B.example", .type = 99, .opt = Opt{}}), why));
    EXPECT_EQ(reply.rcode, dns::kServFail);
    EXPECT_EQ(reply.flags, dns::kQr | dns::kRd | dns::kRa | dns::kServFail);
    EXPECT_EQ(reply.ede, code);
    EXPECT_EQ(reply.question.size(), 11u + 4u);
    EXPECT_FALSE(Parsed(servfail_to(packet_of({}), why)).opt);
  }
  EXPECT_FALSE(Parsed(servfail_to(packet_of({.opt = Opt{}}), Failure::kOverload)).ede_text.empty());
}

TEST(Servfail, IsABareHeaderForOtherOpcodesAndUnreadableQuestions) {
  const auto update = servfail_to(packet_of({.flags = 5u << 11}), Failure::kNoUpstream);
  EXPECT_EQ(update, (Bytes{0x12, 0x34, 0xA8, 0x82, 0, 0, 0, 0, 0, 0, 0, 0}));
  auto cut = packet_of({});
  cut.resize(14);
  EXPECT_EQ(servfail_to(cut, Failure::kNoUpstream), (Bytes{0x12, 0x34, 0x81, 0x82, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(Servfail, IsNothingToAReply) {
  EXPECT_TRUE(servfail_to(packet_of({.flags = dns::kQr}), Failure::kOverload).empty());
}

}  // namespace
}  // namespace har::answer
