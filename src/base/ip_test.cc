#include "base/ip.h"

#include <gtest/gtest.h>

namespace har {
namespace {

TEST(IpAddress, ReadsAndWritesBothFamilies) {
  EXPECT_EQ(IpAddress::parse("192.0.2.1")->to_string(), "192.0.2.1");
  EXPECT_EQ(IpAddress::parse("2001:DB8::1")->to_string(), "2001:db8::1");
  EXPECT_EQ(IpAddress::parse("192.0.2.1")->family, Family::kV4);
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "192.0.2", "192.0.2.256", "fe80::1%lo", "[::1]", "1.2.3.4 ", "localhost"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0x", 9)));
}

TEST(IpPrefix, ContainsOnlyItsOwnFamilyAndBits) {
  const auto prefix = *IpPrefix::parse("10.1.2.3/12");
  EXPECT_EQ(prefix.to_string(), "10.0.0.0/12");
  EXPECT_TRUE(prefix.contains(*IpAddress::parse("10.15.255.255")));
  EXPECT_FALSE(prefix.contains(*IpAddress::parse("10.16.0.0")));
  EXPECT_FALSE(prefix.contains(*IpAddress::parse("a00::")));
  EXPECT_TRUE(IpPrefix::parse("::/0")->contains(*IpAddress::parse("2001:db8::1")));
}

TEST(IpPrefix, RefusesLengthsThatDoNotExist) {
  EXPECT_FALSE(IpPrefix::parse("10.0.0.0/33"));
  EXPECT_FALSE(IpPrefix::parse("10.0.0.0/"));
  EXPECT_FALSE(IpPrefix::parse("10.0.0.0/8x"));
}

}  // namespace
}  // namespace har
