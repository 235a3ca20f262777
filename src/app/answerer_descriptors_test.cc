#include "app/answerer_descriptors.h"

#include <gtest/gtest.h>

namespace har::app {
namespace {

TEST(AnswererDescriptors, AreFewEnoughForTheDefaultsWithTheLeastThatAProcessMayOpen) {
  EXPECT_LE(answerer_descriptors(1, 2, 2), 32u);
  EXPECT_LE(answerer_descriptors(2, 0, 2), 32u);
}

TEST(AnswererDescriptors, AreMoreWhileTheOldSocketsAreOpenAndInUse) {
  EXPECT_EQ(answerer_descriptors(3, 0, 2), 6u + 3 * (6 + 2 * 2) + 3);
  EXPECT_EQ(answerer_descriptors(3, 0, 5), 6u + 3 * (6 + 2 * 5) + 5);
  EXPECT_EQ(answerer_descriptors(3, 4, 5), 6u + 3 * (6 + 2 * 4 + 2 * 5) + 3 + 5);
}

}  // namespace
}  // namespace har::app
