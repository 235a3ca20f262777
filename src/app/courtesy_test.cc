#include "app/courtesy.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace har::app {
namespace {

int nice_now() { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }

TEST(Courtesy, StandsBackForTheWorkAndForWorkInsideItAndNotAfterIt) {
  Courtesy courtesy;
  const int usual = nice_now(), nicer = std::min(usual + 10, 19);
  int outside = -100, inside = -100, after = -100;
  courtesy.stand_back_for([&] {
    outside = nice_now();
    courtesy.stand_back_for([&] { inside = nice_now(); });
    after = nice_now();
  });
  EXPECT_EQ(outside, nicer);
  EXPECT_EQ(inside, nicer);
  EXPECT_EQ(after, nicer);
  EXPECT_EQ(nice_now(), usual);
  courtesy.stand_back_for([&] { outside = nice_now(); });
  EXPECT_EQ(outside, nicer) << "a second time as well";
}

}  // namespace
}  // namespace har::app
