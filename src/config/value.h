// One option's text to a typed value: numbers, durations, switches, words; type and range, with a hint at what would be
// right. Texts and lists pass through to the option's store().
// Thread: any.  Tested by: value_test.cc
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/schema.h"

namespace har::config {

Result<std::int64_t> parse_integer(std::string_view text);  // decimal or 0x...
Result<double> parse_number(std::string_view text);         // decimal, fractions and exponents
Result<Duration> parse_duration(std::string_view text);     // seconds, to the nanosecond
Result<bool> parse_switch(std::string_view text);           // true/false, yes/no, on/off
std::string words_of(std::span<const Word> words);          // "a, b or c"

// Reads and stores the item; what is wrong goes to `remarks`, and nothing is stored then.
void read_option(const Option& option, const Item& item, Draft& draft, Remarks& remarks);

}  // namespace har::config
