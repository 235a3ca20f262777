#include "health/kept_content.h"

#include <gtest/gtest.h>

namespace har::health {
namespace {

using table::SlotContent;

void add(table::FamilyAnswer& answer, const char* address, std::uint16_t weight = 0) {
  answer.kind = table::Kind::kAddresses;
  answer.weights[answer.count] = weight;
  answer.addresses[answer.count++] = IpAddress::parse(address)->bytes;
}

TEST(KeptContent, GivesBackWhatItWasMadeFrom) {
  SlotContent content;
  EXPECT_EQ(KeptContent().content(), content);
  content.ttl = 7;
  content.note = table::Note::kFailureMode;
  add(content.v4, "192.0.2.1");
  EXPECT_EQ(KeptContent(content).content(), content);
  for (int i = 0; i < 7; ++i) add(content.v4, "192.0.2.255", 0);
  EXPECT_EQ(KeptContent(content).content(), content);
  content.v6.kind = table::Kind::kServfail;
  EXPECT_EQ(KeptContent(content).content(), content);
  content.v6.order = table::Order::kWeighted;
  add(content.v6, "2001:db8::1", 65'535);
  add(content.v6, "::", 3);
  content.v6.group = 2;
  EXPECT_EQ(KeptContent(content).content(), content);
}

TEST(KeptContent, IsEqualWhereTheContentsAre) {
  SlotContent a, b;
  add(a.v4, "192.0.2.1");
  add(b.v4, "192.0.2.1");
  EXPECT_EQ(KeptContent(a), KeptContent(b));
  add(b.v4, "192.0.2.2");
  EXPECT_NE(KeptContent(a), KeptContent(b));
  b = a;
  b.ttl = 1;
  EXPECT_NE(KeptContent(a), KeptContent(b));
  b = a;
  b.v6.answer_count = 2;
  EXPECT_NE(KeptContent(a), KeptContent(b));
}

}  // namespace
}  // namespace har::health
