#include "text.h"

#include <charconv>
#include <cstdlib>

namespace har::replay {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == ',') {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word += c;
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

std::string trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

std::vector<std::string> split(std::string_view text, std::string_view by) {
  std::vector<std::string> parts;
  for (;;) {
    const auto at = text.find(by);
    parts.push_back(trim(text.substr(0, at)));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + by.size());
  }
}

Duration read_duration(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  const std::string_view unit = end;
  double seconds = 0;
  if (unit == "us") {
    seconds = value / 1e6;
  } else if (unit == "ms") {
    seconds = value / 1e3;
  } else if (unit == "s") {
    seconds = value;
  } else if (unit == "m") {
    seconds = value * 60;
  } else if (unit == "h") {
    seconds = value * 3600;
  } else {
    throw Mismatch("'" + copy + "' is no duration; write 12ms, 2s, 10m or 1h");
  }
  // Through microseconds: 0.0081 s must be 8100 us, not one nanosecond less.
  return std::chrono::microseconds(static_cast<long long>(seconds * 1e6 + (seconds < 0 ? -0.5 : 0.5)));
}

void need(const std::vector<std::string>& words, std::size_t count, const char* form) {
  if (words.size() < count) throw Mismatch(std::string("write: ") + form);
}

IpAddress read_address(std::string_view text) {
  const std::optional<IpAddress> address = IpAddress::parse(text);
  if (!address) throw Mismatch("'" + std::string(text) + "' is no address");
  return *address;
}

unsigned read_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Mismatch("'" + std::string(text) + "' is no number");
  }
  return value;
}

}  // namespace har::replay
