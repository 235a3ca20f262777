// "Did you mean": the nearest of some known words.
// Thread: any.  Tested by: suggest_test.cc
#pragma once

#include <span>
#include <string_view>

namespace har::config {

// How many letters must be put in, left out, changed or swapped with their neighbour to make `b` of `a`; without regard
// to case, and '-' counts as '_'. Both at most 64 octets long.
unsigned edit_distance(std::string_view a, std::string_view b);

// The nearest of `known` if it is near enough for a slip of the hand, else empty. The first of equally near ones.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace har::config
