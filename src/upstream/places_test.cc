#include "upstream/places.h"

#include <gmock/gmock.h>

namespace har::upstream {
namespace {

IpPort upstream(int n) {
  IpPort out;
  out.ip = *IpAddress::parse("192.0.2." + std::to_string(n));
  out.port = 53;
  return out;
}

std::vector<IpPort> upstreams(int from, int to) {
  std::vector<IpPort> out;
  for (int n = from; n <= to; ++n) out.push_back(upstream(n));
  return out;
}

TEST(Places, TheOrderIsThatOfTheSet) {
  Places places;
  places.assign(upstreams(1, 3));
  ASSERT_EQ(places.order().size(), 3U);
  for (int n = 1; n <= 3; ++n) EXPECT_EQ(places.at(places.order()[static_cast<std::size_t>(n - 1)]), upstream(n));
}

TEST(Places, OneThatStaysKeepsItsPlaceAndOneThatIsNewGetsAnother) {
  Places places;
  places.assign(std::vector{upstream(1), upstream(2)});
  const Place two = *places.find(upstream(2));
  const Place one = *places.find(upstream(1));
  places.assign(std::vector{upstream(3), upstream(2)});
  EXPECT_EQ(places.find(upstream(2)), two);
  EXPECT_EQ(places.find(upstream(1)), std::nullopt);
  EXPECT_NE(places.find(upstream(3)), one);  // queries to the first may still be in flight
  EXPECT_EQ(places.at(places.order()[0]), upstream(3));
}

TEST(Places, DuplicatesAndTheSeventeenthAreLeftOut) {
  Places places;
  auto many = upstreams(1, 17);
  many.insert(many.begin(), upstream(1));
  places.assign(many);
  EXPECT_EQ(places.order().size(), kMaxUpstreams);
  EXPECT_EQ(places.find(upstream(17)), std::nullopt);
  EXPECT_EQ(std::popcount(places.present()), 16);
}

TEST(Places, AWholeNewSetFindsRoomAgainAndAgain) {
  Places places;
  for (int round = 0; round < 10; ++round) {
    const PlaceSet before = places.present();
    places.assign(upstreams(1 + 16 * round, 16 + 16 * round));
    EXPECT_EQ(std::popcount(places.present()), 16);
    EXPECT_EQ(places.present() & before, 0U);
    for (int n = 1; n <= 16; ++n) EXPECT_TRUE(places.find(upstream(n + 16 * round)));
  }
}

}  // namespace
}  // namespace har::upstream
