#include "app/messages.h"

#include <gtest/gtest.h>

namespace har::app {
namespace {

Prepare example() {
  Prepare out;
  out.addresses = {{{*IpAddress::parse("127.0.0.1"), 53, 0}, false}, {{*IpAddress::parse("fe80::1"), 53, 2}, true}};
  out.workers = 2;
  out.names = 7;
  out.user = "har";
  return out;
}

TEST(Messages, PrepareSurvivesPacking) {
  Prepare got;
  ASSERT_TRUE(Prepare::unpack(example().pack(), got));
  ASSERT_EQ(got.addresses.size(), 2U);
  EXPECT_EQ(got.addresses[0].at, example().addresses[0].at);
  EXPECT_EQ(got.addresses[1].at, example().addresses[1].at);
  EXPECT_TRUE(got.addresses[1].optional);
  EXPECT_EQ(got.user, "har");
}

TEST(Messages, OctetsBehindAnIpv4AddressDoNotMakeItAnother) {
  Prepare odd = example();
  odd.addresses[0].at.ip.bytes[9] = 1;
  Prepare got;
  ASSERT_TRUE(Prepare::unpack(odd.pack(), got));
  EXPECT_EQ(got.addresses[0].at.ip, *IpAddress::parse("127.0.0.1"));
}

TEST(Messages, APrepareThatIsCutIsRefused) {
  const std::string whole = example().pack();
  Prepare got;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(Prepare::unpack(whole.substr(0, size), got)) << size;
  }
}

}  // namespace
}  // namespace har::app
