#include "forward/loop_query.h"

#include <gtest/gtest.h>

#include <cctype>
#include <numeric>
#include <vector>

#include "dns/name.h"

namespace har::forward {
namespace {

IpPort upstream(const char* ip, std::uint16_t port) { return IpPort{*IpAddress::parse(ip), port, 0}; }

TEST(LoopQuery, SipHashGivesTheVectorOfItsAuthors) {
  LoopSecret key{};
  std::iota(key.begin(), key.end(), std::uint8_t{0});
  std::vector<std::uint8_t> data(15);
  std::iota(data.begin(), data.end(), std::uint8_t{0});
  EXPECT_EQ(siphash(key, data), 0xa129ca6149be45e5U);  // the paper's appendix A
  EXPECT_EQ(siphash(key, {}), 0x726fdb47dd0e0e31U);
}

TEST(LoopQuery, ANameIsReadBackForItsUpstreamOnly) {
  LoopSecret secret{1, 2, 3};
  const LoopName name = make_loop_name(secret, 0x0123456789ABCDEF, upstream("192.0.2.1", 53));
  EXPECT_EQ(dns::wire_name_size(name), kLoopNameSize);
  const std::string text = dns::name_to_text(name);
  EXPECT_EQ(text.substr(32), ".har-loop.invalid");
  const auto mark = read_loop_name(secret, name);
  ASSERT_TRUE(mark);
  EXPECT_TRUE(mark->is_for(secret, upstream("192.0.2.1", 53)));
  EXPECT_FALSE(mark->is_for(secret, upstream("192.0.2.1", 54)));
  EXPECT_FALSE(mark->is_for(secret, upstream("192.0.2.2", 53)));
  EXPECT_FALSE(mark->is_for(secret, upstream("2001:db8::1", 53)));
}

TEST(LoopQuery, CaseDoesNotMatter) {
  LoopSecret secret{9};
  LoopName name = make_loop_name(secret, 77, upstream("192.0.2.1", 53));
  for (std::uint8_t& octet : name) octet = static_cast<std::uint8_t>(std::toupper(octet));
  EXPECT_TRUE(read_loop_name(secret, name));
}

TEST(LoopQuery, ANameOfAnotherDaemonOrOfAForgerIsNotOurs) {
  LoopSecret ours{1};
  LoopSecret theirs{2};
  LoopName name = make_loop_name(theirs, 77, upstream("192.0.2.1", 53));
  EXPECT_FALSE(read_loop_name(ours, name));
  name = make_loop_name(ours, 77, upstream("192.0.2.1", 53));
  name[1] = name[1] == '0' ? '1' : '0';
  EXPECT_FALSE(read_loop_name(ours, name));
  name[1] = 'x';
  EXPECT_FALSE(read_loop_name(ours, name));
  EXPECT_FALSE(read_loop_name(ours, *dns::name_to_wire("har-loop.invalid")));
  EXPECT_FALSE(read_loop_name(ours, {}));
}

}  // namespace
}  // namespace har::forward
