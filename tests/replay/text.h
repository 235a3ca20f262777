// Words, durations and mistakes of a scenario's text.
// Tested by: the scenarios themselves, failing/*.scn.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/time.h"

namespace har::replay {

// What a scenario says is not so, or cannot be read. The runner adds file and line.
struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::vector<std::string> words_of(std::string_view text);                    // by blanks and commas
std::vector<std::string> split(std::string_view text, std::string_view by);  // trimmed parts
std::string trim(std::string_view text);
Duration read_duration(std::string_view text);  // "350us", "12ms", "2s", "1.5s", "10m", "1h"
// Throws with `form` when there are fewer words than that.
void need(const std::vector<std::string>& words, std::size_t count, const char* form);
IpAddress read_address(std::string_view text);
unsigned read_number(std::string_view text);

}  // namespace har::replay
