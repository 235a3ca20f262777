#include "base/few.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace har {
namespace {

std::vector<std::string> all(const Few<std::string>& few) { return {few.begin(), few.end()}; }

using List = std::vector<std::string>;

TEST(Few, BeginsEmpty) {
  const Few<std::string> few;
  EXPECT_TRUE(few.empty());
  EXPECT_EQ(few.size(), 0u);
  EXPECT_EQ(all(few), List{});
}

TEST(Few, InsertsAnywhere) {
  Few<std::string> few;
  few.push_back("b");
  EXPECT_EQ(all(few), List{"b"});
  few.insert(few.begin(), "a");
  few.push_back("d");
  few.insert(few.begin() + 2, "c");
  EXPECT_EQ(all(few), (List{"a", "b", "c", "d"}));
}

TEST(Few, LosesElementsFromAnyPlace) {
  Few<std::string> few;
  for (const char* text : {"a", "b", "c"}) few.push_back(text);
  few.erase(few.begin() + 1);
  EXPECT_EQ(all(few), (List{"a", "c"}));
  few.erase(few.begin());
  EXPECT_EQ(all(few), List{"c"});
  few.erase(few.begin());
  EXPECT_TRUE(few.empty());
  few.push_back("again");
  EXPECT_EQ(all(few), List{"again"});
  few.clear();
  EXPECT_TRUE(few.empty());
}

TEST(Few, IsMovedWithItsElements) {
  Few<std::string> from;
  from.push_back("a text that is too long to stand inside of a string");
  from.push_back("b");
  const Few<std::string> to = std::move(from);
  EXPECT_EQ(to.size(), 2u);
  EXPECT_EQ(*to.begin(), "a text that is too long to stand inside of a string");
}

}  // namespace
}  // namespace har
