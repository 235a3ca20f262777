#include "dns/reply.h"

#include <gtest/gtest.h>

#include <array>

#include "dns/reader.h"
#include "dns/test_message.h"

namespace har::dns {
namespace {

const std::array<std::uint8_t, 4> kV4 = {192, 0, 2, 1};
const std::array<std::uint8_t, 16> kV6 = {0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

std::string longest_name() {
  const std::string label(63, 'l');
  return label + "." + label + "." + label + "." + std::string(61, 'm');
}

// A client's packet, what was understood of it, and room for the reply.
struct Exchange {
  explicit Exchange(TestMessage query_packet) : packet(std::move(query_packet)), query(parse_query(packet)) {
    out.fill(0xEE);
  }
  TestMessage packet;
  Query query;
  std::array<std::uint8_t, 4096> out;

  std::vector<std::uint8_t> octets(std::size_t size) const {
    return {out.begin(), out.begin() + static_cast<long>(size)};
  }
};

TestMessage asks(std::string_view name = "wWw.Example", unsigned flags = kRd, unsigned type = kTypeA) {
  return TestMessage{}.header(0xBEEF, flags, 1).question(name, type);
}
TestMessage asks_with_opt(unsigned size, std::uint32_t ttl = 0, std::string_view name = "wWw.Example",
                          unsigned flags = kRd) {
  return TestMessage{}.header(0xBEEF, flags, 1, 0, 0, 1).question(name, kTypeA).opt(size, ttl);
}

TEST(Reply, AnAddressIsAnsweredOctetForOctet) {
  Exchange x(asks());
  Reply reply(x.query, kNoError, Reply::kAuthoritative, udp_limit(x.query), x.out);
  reply.add_address(Family::kV4, kV4.data(), 0x01020304);
  reply.add_address(Family::kV6, kV6.data(), 0);
  const TestMessage expected = TestMessage{}
                                   .header(0xBEEF, kQr | kAa | kRd | kRa, 1, 2)
                                   .question("wWw.Example", kTypeA)
                                   .raw({0xC0, 12})
                                   .record(kTypeA, 0x01020304, 4)
                                   .raw(kV4)
                                   .raw({0xC0, 12})
                                   .record(kTypeAaaa, 0, 16)
                                   .raw(kV6);
  EXPECT_EQ(x.octets(reply.finish()), expected.octets);
}

TEST(Reply, RdAndCdAreCopiedAdZAndTcAreClear) {
  for (unsigned flags = 0; flags < 0x0800; flags += 0x10) {  // every flag but QR and the opcode
    Exchange x(asks("a", flags));
    Reply reply(x.query, kNoError, Reply::kAuthoritative, kMinUdpReply, x.out);
    reply.finish();
    const unsigned got = static_cast<unsigned>(x.out[2]) << 8 | x.out[3];
    EXPECT_EQ(got, kQr | kAa | kRa | (flags & (kRd | kCd))) << flags;
  }
}

TEST(Reply, AnErrorIsNotAuthoritative) {
  Exchange x(asks());
  Reply reply(x.query, kServFail, Reply::kNotAuthoritative, kMinUdpReply, x.out);
  EXPECT_EQ(x.octets(reply.finish()),
            TestMessage{}.header(0xBEEF, kQr | kRd | kRa | +kServFail, 1).question("wWw.Example", kTypeA).octets);
}

TEST(Reply, WithoutAReadableQuestionItIsAHeader) {
  Exchange x(TestMessage{}.header(0xBEEF, kRd, 2).question("a", kTypeA).question("b", kTypeA));
  Reply reply(x.query, kFormErr, Reply::kNotAuthoritative, kMinUdpReply, x.out);
  EXPECT_EQ(x.octets(reply.finish()), TestMessage{}.header(0xBEEF, kQr | kRd | kRa | +kFormErr, 0).octets);
}

TEST(Reply, AnotherOpcodeIsKept) {
  Exchange x(TestMessage{}.header(0xBEEF, kOpcodeNotify << 11, 1).question("a", kTypeSoa));
  Reply reply(x.query, kServFail, Reply::kNotAuthoritative, kMinUdpReply, x.out);
  EXPECT_EQ(x.octets(reply.finish()),
            TestMessage{}.header(0xBEEF, kQr | kRa | kOpcodeNotify << 11 | +kServFail, 0).octets);
}

TEST(Reply, NodataCarriesASoaOfTheName) {
  Exchange x(asks());
  Reply reply(x.query, kNoError, Reply::kAuthoritative, kMinUdpReply, x.out);
  reply.add_soa();
  const std::size_t size = reply.finish();
  const auto octets = x.octets(size);
  EXPECT_EQ(octets[7], 0);  // no answers
  EXPECT_EQ(octets[9], 1);
  Reader reader(octets, 12 + x.query.question.size());
  WireName name;
  reader.expand_name(name);
  EXPECT_EQ(name_to_text(name.span()), "wWw.Example");
  const RecordHead soa = read_record(reader);
  EXPECT_EQ(soa.type, kTypeSoa);
  EXPECT_EQ(soa.rclass, kClassIn);
  EXPECT_EQ(soa.ttl, 1U);
  EXPECT_EQ(reader.left(), 0U);
  EXPECT_FALSE(reader.failed());
  Reader data(octets, soa.data_position);
  data.expand_name(name);
  EXPECT_EQ(name_to_text(name.span()), "wWw.Example");
  data.expand_name(name);
  EXPECT_EQ(name_to_text(name.span()), "hostmaster.wWw.Example");
  data.bytes(16);
  EXPECT_EQ(data.u32(), 1U);  // MINIMUM
  EXPECT_EQ(data.left(), 0U);
  EXPECT_FALSE(data.failed());
}

TEST(Reply, TheSoaMayBelongToTheNameBelowTheServiceLabels) {
  Exchange x(asks("_443._https.www.example", kRd, kTypeHttps));
  Reply reply(x.query, kNoError, Reply::kAuthoritative, kMinUdpReply, x.out);
  reply.add_soa(1, 5 + 7);
  const auto octets = x.octets(reply.finish());
  Reader reader(octets, 12 + x.query.question.size());
  WireName name;
  reader.expand_name(name);
  EXPECT_EQ(name_to_text(name.span()), "www.example");
}

TEST(Reply, TheSoaOfALongNameNeedsNoNameOver255Octets) {
  for (const int cut : {0, 10, 11, 12}) {
    const std::string text = longest_name().substr(static_cast<std::size_t>(cut));
    Exchange x(asks(text));
    Reply reply(x.query, kNoError, Reply::kAuthoritative, kMinUdpReply, x.out);
    reply.add_soa();
    const auto octets = x.octets(reply.finish());
    Reader reader(octets, 12 + x.query.question.size());
    reader.skip_name();
    Reader data(octets, read_record(reader).data_position);
    WireName name;
    data.expand_name(name);
    data.expand_name(name);
    EXPECT_FALSE(data.failed()) << cut;
    EXPECT_EQ(name_to_text(name.span()), (cut < 11 ? "" : "hostmaster.") + text);
  }
}

TEST(Reply, OptIsThereIfAndOnlyIfTheQueryHadOne) {
  Exchange without(asks());
  Reply bare(without.query, kNoError, Reply::kAuthoritative, kMinUdpReply, without.out);
  bare.set_error(kEdeOther, "unseen");
  EXPECT_EQ(bare.finish(), without.packet.octets.size());

  for (const bool dnssec_ok : {false, true}) {
    Exchange x(asks_with_opt(4096, dnssec_ok ? 0x8000 : 0x7FFF));  // only DO is copied
    Reply reply(x.query, kNoError, Reply::kAuthoritative, udp_limit(x.query), x.out);
    const TestMessage expected = TestMessage{}
                                     .header(0xBEEF, kQr | kAa | kRd | kRa, 1, 0, 0, 1)
                                     .question("wWw.Example", kTypeA)
                                     .opt(1232, dnssec_ok ? 0x8000 : 0);
    EXPECT_EQ(x.octets(reply.finish()), expected.octets);
  }
}

TEST(Reply, BadversStandsPartlyInOpt) {
  Exchange x(asks_with_opt(1232, 0x00010000));
  ASSERT_EQ(x.query.edns.version, 1);
  Reply reply(x.query, kBadVers, Reply::kNotAuthoritative, kMinUdpReply, x.out);
  const TestMessage expected =
      TestMessage{}.header(0xBEEF, kQr | kRd | kRa, 1, 0, 0, 1).question("wWw.Example", kTypeA).opt(1232, 0x01000000);
  EXPECT_EQ(x.octets(reply.finish()), expected.octets);
}

TEST(Reply, FormerrForAMalformedOptCarriesOpt) {
  Exchange x(TestMessage{}.header(1, 0, 1, 0, 0, 2).question("a", kTypeA).opt(1400).opt(1400));
  ASSERT_TRUE(x.query.edns.malformed);
  Reply reply(x.query, kFormErr, Reply::kNotAuthoritative, kMinUdpReply, x.out);
  EXPECT_EQ(x.octets(reply.finish()),
            TestMessage{}.header(1, kQr | kRa | +kFormErr, 1, 0, 0, 1).question("a", kTypeA).opt(1232).octets);
}

TEST(Reply, AnExtendedErrorIsAnOption) {
  Exchange x(asks_with_opt(1232));
  Reply reply(x.query, kServFail, Reply::kNotAuthoritative, kMinUdpReply, x.out);
  reply.set_error(kEdeNotReady);
  reply.set_error(kEdeNoReachableAuthority, "hm");  // the last one counts
  const TestMessage expected = TestMessage{}
                                   .header(0xBEEF, kQr | kRd | kRa | +kServFail, 1, 0, 0, 1)
                                   .question("wWw.Example", kTypeA)
                                   .opt(1232, 0, {0, 15, 0, 4, 0, 22, 'h', 'm'});
  EXPECT_EQ(x.octets(reply.finish()), expected.octets);
}

// Whoever has had a cookie of "this server" in a forwarded reply throws away what comes without one.
TEST(Reply, ACookieGoesBackAsItCame) {
  TestMessage cookie = TestMessage{}.u16(kOptionCookie).u16(16);
  for (unsigned i = 0; i < 16; ++i) cookie.u8(0xA0 + i);
  const auto ask = [&](std::string_view name) {
    TestMessage packet = TestMessage{}.header(0xBEEF, kRd, 1, 0, 0, 1).question(name, kTypeA);
    return packet.u8(0).record(kTypeOpt, 0, cookie.octets.size(), 1232).raw(cookie.octets);
  };
  Exchange x(ask("wWw.Example"));
  Reply bare(x.query, kNoError, Reply::kAuthoritative, 1232, x.out);
  TestMessage expected =
      TestMessage{}.header(0xBEEF, kQr | kAa | kRd | kRa, 1, 0, 0, 1).question("wWw.Example", kTypeA);
  expected.u8(0).record(kTypeOpt, 0, cookie.octets.size(), 1232).raw(cookie.octets);
  EXPECT_EQ(x.octets(bare.finish()), expected.octets);

  Reply with_error(x.query, kNoError, Reply::kAuthoritative, 1232, x.out);
  with_error.set_error(kEdeOther, "hm");
  const std::size_t size = with_error.finish();
  EXPECT_EQ(size, expected.octets.size() + 8);
  EXPECT_TRUE(std::equal(cookie.octets.begin(), cookie.octets.end(), x.out.begin() + static_cast<long>(size) - 28));

  // Its room is kept from the start.
  Exchange y(ask(longest_name()));
  Reply full(y.query, kNoError, Reply::kAuthoritative, 512, y.out);
  for (int i = 0; i < 100; ++i) full.add_address(Family::kV4, kV4.data(), 0);
  full.set_error(kEdeOther, "hm");
  EXPECT_LE(full.finish(), 512U);
  EXPECT_TRUE(full.truncated());
}

TEST(Reply, TheLimitIs512OrWhatTheClientSaysUpTo1232) {
  EXPECT_EQ(udp_limit(parse_query(asks())), 512U);
  EXPECT_EQ(udp_limit(parse_query(asks_with_opt(0))), 512U);
  EXPECT_EQ(udp_limit(parse_query(asks_with_opt(511))), 512U);
  EXPECT_EQ(udp_limit(parse_query(asks_with_opt(700))), 700U);
  EXPECT_EQ(udp_limit(parse_query(asks_with_opt(1232))), 1232U);
  EXPECT_EQ(udp_limit(parse_query(asks_with_opt(0xFFFF))), 1232U);
}

TEST(Reply, EightAddressesOfTheLongestNameFitIn512) {
  Exchange x(asks_with_opt(512, 0, longest_name()));
  Reply reply(x.query, kNoError, Reply::kAuthoritative, udp_limit(x.query), x.out);
  for (int i = 0; i < 8; ++i) reply.add_address(Family::kV6, kV6.data(), 0);
  EXPECT_FALSE(reply.truncated());
  EXPECT_EQ(reply.finish(), 12U + 259 + 8 * 28 + 11);
}

TEST(Reply, WhatDoesNotFitIsLeftOutWithTcAndOptStays) {
  for (const std::size_t limit : {std::size_t{512}, std::size_t{600}, std::size_t{1232}, kMaxMessage}) {
    Exchange x(asks_with_opt(1232, 0x8000, longest_name()));
    Reply reply(x.query, kNoError, Reply::kAuthoritative, limit, x.out);
    for (int i = 0; i < 200; ++i) reply.add_address(Family::kV6, kV6.data(), 0);
    reply.add_address(Family::kV4, kV4.data(), 0);  // would fit at times, but must not pass the others
    reply.set_error(kEdeOther, std::string_view("text that is too long for the rest of a small reply"));
    EXPECT_TRUE(reply.truncated());
    const std::size_t size = reply.finish();
    const std::size_t most = std::min(limit, x.out.size());
    const std::size_t fitting = (most - 12 - 259 - 11) / 28;
    EXPECT_LE(size, most);
    EXPECT_EQ(x.out[6] << 8 | x.out[7], static_cast<int>(fitting));
    EXPECT_EQ(x.out[2] & 0x02, 0x02);
    EXPECT_EQ(x.out[11], 1);
    const std::size_t opt = 12 + 259 + fitting * 28;
    ASSERT_GE(size, opt + 11);
    EXPECT_EQ(x.out[opt], 0);
    EXPECT_EQ(x.out[opt + 2], kTypeOpt);
    if (size < x.out.size()) {
      EXPECT_EQ(x.out[size], 0xEE);  // nothing was written behind the end
    }
  }
}

TEST(Reply, TheErrorsTextGoesBeforeTheErrorAndBothWithoutTc) {
  // The longest name with eight AAAA leaves 6 octets of 512: room for the error, not for its text.
  Exchange x(asks_with_opt(512, 0, longest_name()));
  Reply reply(x.query, kNoError, Reply::kAuthoritative, 512, x.out);
  for (int i = 0; i < 8; ++i) reply.add_address(Family::kV6, kV6.data(), 0);
  reply.set_error(kEdeOther, "text");
  EXPECT_EQ(reply.finish(), 512U);
  EXPECT_EQ(x.out[2] & 0x02, 0);
  EXPECT_EQ(x.out[505], 6);  // RDLENGTH
  EXPECT_EQ(x.out[507], 15);

  Exchange y(asks_with_opt(512, 0, longest_name()));
  Reply full(y.query, kNoError, Reply::kAuthoritative, 511 + 1, std::span(y.out).first(512));
  for (int i = 0; i < 7; ++i) full.add_address(Family::kV6, kV6.data(), 0);
  full.add_address(Family::kV4, kV4.data(), 0);
  full.add_address(Family::kV4, kV4.data(), 0);  // 2 octets are left
  EXPECT_FALSE(full.truncated());
  full.set_error(kEdeOther);
  EXPECT_EQ(full.finish(), 510U);
  EXPECT_EQ(y.out[509], 0);
}

TEST(Reply, ATextThatJustFitsIsShownAndOneOctetMoreIsNot) {
  Exchange x(asks_with_opt(512));
  const std::size_t room = 512 - x.query.question.size() - 12 - 11 - 6;
  for (const std::size_t extra : {0U, 1U}) {
    const std::string text(room + extra, 't');
    Reply reply(x.query, kServFail, Reply::kNotAuthoritative, 512, x.out);
    reply.set_error(kEdeOther, text);
    EXPECT_EQ(reply.finish(), extra == 0 ? 512 : 512 - room);
  }
}

TEST(Reply, ALimitBelow512IsRaisedAndOneBeyondTheMemoryLowered) {
  Exchange x(asks());
  Reply low(x.query, kNoError, Reply::kAuthoritative, 100, x.out);
  for (int i = 0; i < 100; ++i) low.add_address(Family::kV4, kV4.data(), 0);
  EXPECT_GT(low.finish(), 490U);
  Reply high(x.query, kNoError, Reply::kAuthoritative, kMaxMessage, std::span(x.out).first(1000));
  for (int i = 0; i < 100; ++i) high.add_address(Family::kV4, kV4.data(), 0);
  const std::size_t size = high.finish();
  EXPECT_GT(size, 980U);
  EXPECT_LE(size, 1000U);
}

}  // namespace
}  // namespace har::dns
