#include "dns/opt.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "dns/cookie.h"

namespace har::dns {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }

const Bytes kRecord{0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
const Bytes kCookie{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

Bytes opt(const Bytes& options, std::uint8_t version = 0) {
  Bytes out{0, 0, 41, 4, 0xD0, 0, version, 0x80, 0, 0, static_cast<std::uint8_t>(options.size())};
  append(out, options);
  return out;
}

// A reply for "a." with one answer and these additional records.
Bytes reply(const std::vector<Bytes>& additional) {
  Bytes out{0xBE, 0xEF, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, static_cast<std::uint8_t>(additional.size())};
  append(out, {1, 'a', 0, 0, 1, 0, 1});
  append(out, kRecord);
  for (const Bytes& record : additional) append(out, record);
  return out;
}

Bytes with_cookie(const Bytes& from, std::size_t room = 512) {
  Bytes out(room);
  const auto opt = find_opt(from);
  out.resize(opt ? add_cookie(from, *opt, kCookie, out) : 0);
  return out;
}

TEST(FindOpt, FindsItWhereverItStands) {
  for (const auto& [additional, is_last] : std::vector<std::pair<std::vector<Bytes>, bool>>{
           {{opt({})}, true}, {{kRecord, opt({})}, true}, {{opt({}), kRecord}, false}}) {
    const auto found = find_opt(reply(additional));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->record.ttl, 0x8000U);
    EXPECT_EQ(found->is_last, is_last);
  }
  EXPECT_FALSE(find_opt(reply({kRecord})));
  Bytes longer = reply({opt({})});
  longer.push_back(0);
  EXPECT_FALSE(find_opt(longer)->is_last);
}

TEST(FindOpt, NothingIsFoundInWhatIsCut) {
  const Bytes whole = reply({opt({0, 3, 0, 1, 7})});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(find_opt(cut)) << size;
  }
}

TEST(AddCookie, BehindTheOtherOptions) {
  for (const Bytes& options : {Bytes{}, Bytes{0, 3, 0, 1, 7}}) {
    Bytes both = options;
    append(both, {0, 10, 0, 16});
    append(both, kCookie);
    EXPECT_EQ(with_cookie(reply({kRecord, opt(options)})), reply({kRecord, opt(both)}));
  }
}

TEST(AddCookie, BehindAClientsPartAloneOneOfOurs) {
  const Bytes whole = reply({opt({})});
  Bytes out(512);
  out.resize(add_cookie(whole, *find_opt(whole), std::span(kCookie).first(8), out));
  Bytes both{0, 10, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8};
  append(both, {kServersPart.begin(), kServersPart.end()});
  EXPECT_EQ(out, reply({opt(both)}));
}

TEST(GivesCookie, WhereThereIsAServersPart) {
  Bytes with_servers_part{0, 3, 0, 1, 7, 0, 10, 0, 16};
  append(with_servers_part, kCookie);
  EXPECT_TRUE(gives_cookie(*find_opt(reply({kRecord, opt(with_servers_part)}))));
  EXPECT_FALSE(gives_cookie(*find_opt(reply({opt({0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8})}))));
  EXPECT_FALSE(gives_cookie(*find_opt(reply({opt({0, 10, 0, 16, 1})})))) << "cut";
  EXPECT_FALSE(gives_cookie(*find_opt(reply({opt(with_servers_part, 1)})))) << "of another version";
  EXPECT_FALSE(gives_cookie(*find_opt(reply({opt({})}))));
}

TEST(AddCookie, OnlyWhereItCan) {
  EXPECT_TRUE(with_cookie(reply({})).empty());
  EXPECT_TRUE(with_cookie(reply({opt({}), kRecord})).empty()) << "not at the end: a signature may follow";
  EXPECT_TRUE(with_cookie(reply({opt({0, 10, 0, 1, 7})})).empty()) << "it has one";
  EXPECT_TRUE(with_cookie(reply({opt({0, 3, 0, 2, 7})})).empty()) << "its options do not add up";
  EXPECT_TRUE(with_cookie(reply({opt({}, 1)})).empty()) << "of another version";
  const Bytes fits = reply({opt({})});
  EXPECT_TRUE(with_cookie(fits, fits.size() + 19).empty());
  EXPECT_EQ(with_cookie(fits, fits.size() + 20).size(), fits.size() + 20);
  EXPECT_TRUE(with_cookie(fits, 5).empty());
}

}  // namespace
}  // namespace har::dns
