#include "config/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "config/suggest.h"

namespace har::config {
namespace {

constexpr double kMostSeconds = 1e9;  // some 30 years: far inside a Duration

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// "2s", "500 ms", "5m": what it would be in seconds.
std::optional<double> with_unit(std::string_view text) {
  struct Unit {
    std::string_view text;
    double seconds;
  };
  constexpr Unit kUnits[] = {{"us", 1e-6},   {"ms", 1e-3},    {"s", 1},     {"sec", 1},
                             {"seconds", 1}, {"m", 60},       {"min", 60},  {"minutes", 60},
                             {"h", 3600},    {"hours", 3600}, {"d", 86400}, {"days", 86400}};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || !std::isfinite(value)) return std::nullopt;
  auto rest = text.substr(static_cast<std::size_t>(end - text.data()));
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  for (const auto& unit : kUnits) {
    if (rest == unit.text) return value * unit.seconds;
  }
  return std::nullopt;
}

// Ranges for a message. Shortest form: "0.05", "86400".
std::string range_of(const Option& option) { return fmt::format("{:.12g} to {:.12g}", option.least, option.most); }

void wrong(const Reading& reading, const std::string& what) {
  reading.remarks.mistake(reading.text().place, fmt::format("{}: {}", reading.option.key, what));
}

bool in_range(const Reading& reading, double value) {
  if (value >= reading.option.least && value <= reading.option.most) return true;
  wrong(reading, fmt::format("{} is out of range; write {}{}", quoted(reading.text().text), range_of(reading.option),
                             reading.option.kind == Kind::kDuration ? " seconds" : ""));
  return false;
}

const Word* find_word(std::span<const Word> words, std::string_view text) {
  const auto found = std::find_if(words.begin(), words.end(), [&](const Word& word) { return word.text == text; });
  return found == words.end() ? nullptr : &*found;
}

bool read_integer(Reading& reading) {
  const auto value = parse_integer(reading.text().text);
  if (!value) return wrong(reading, value.error().message), false;
  reading.integer = *value;
  return in_range(reading, static_cast<double>(*value));
}

bool read_duration(Reading& reading) {
  if (find_word(reading.option.words, reading.text().text) != nullptr) return true;
  const auto value = parse_duration(reading.text().text);
  if (!value) {
    const auto or_word = reading.option.words.empty() ? "" : fmt::format(" or '{}'", reading.option.words.front().text);
    return wrong(reading, value.error().message + or_word), false;
  }
  reading.duration = *value;
  return in_range(reading, to_seconds(*value));
}

bool read_fraction(Reading& reading) {
  const std::string& text = reading.text().text;
  const auto value = parse_number(text);
  if (!value) {
    if (!text.empty() && text.back() == '%') {
      if (const auto percent = parse_number(std::string_view(text).substr(0, text.size() - 1))) {
        return wrong(reading,
                     fmt::format("{} is a percentage; write the fraction {:.12g}", quoted(text), *percent / 100)),
               false;
      }
    }
    return wrong(reading, value.error().message), false;
  }
  reading.fraction = *value;
  return in_range(reading, *value);
}

bool read_switch(Reading& reading) {
  const auto value = parse_switch(reading.text().text);
  if (!value) return wrong(reading, value.error().message), false;
  reading.on = *value;
  return true;
}

bool read_word(Reading& reading) {
  const std::string& text = reading.text().text;
  if (const auto* word = find_word(reading.option.words, text)) {
    reading.word = word->value;
    return true;
  }
  std::vector<std::string_view> known;
  for (const auto& word : reading.option.words) known.push_back(word.text);
  const auto near = nearest(text, known);
  wrong(reading,
        fmt::format("{} is unknown; {}write {}", quoted(text),
                    near.empty() ? "" : fmt::format("did you mean '{}'? ", near), words_of(reading.option.words)));
  return false;
}

bool read_list(const Reading& reading) {
  const auto count = static_cast<double>(reading.list().size());
  if (count >= reading.option.least && count <= reading.option.most) return true;
  const auto what =
      count == 0 ? fmt::format("{}: an empty list; leave the line out for the default", reading.option.key)
                 : fmt::format("{}: {} values; write at most {}", reading.option.key, count, reading.option.most);
  reading.remarks.mistake(reading.item.place, what);
  return false;
}

}  // namespace

Result<std::int64_t> parse_integer(std::string_view text) {
  auto digits = text;
  const bool negative = !digits.empty() && digits.front() == '-';
  if (negative) digits.remove_prefix(1);
  const bool hex = digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
  if (hex) {
    digits.remove_prefix(2);
  } else if (digits.size() > 1 && digits.front() == '0' && std::all_of(digits.begin(), digits.end(), is_digit)) {
    // libconfuse takes this as octal, a person as decimal.
    const auto decimal = digits.substr(std::min(digits.find_first_not_of('0'), digits.size() - 1));
    return failure(
        fmt::format("{} begins with 0 and could be read in two ways; write {}", quoted(text), shown(decimal)));
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  const bool whole = !digits.empty() && end == digits.data() + digits.size();
  if (error == std::errc::result_out_of_range || (whole && value > INT64_MAX)) {
    return failure(fmt::format("{} is far too large; write a smaller number", quoted(text)));
  }
  if (error != std::errc{} || !whole)
    return failure(fmt::format("{} is no whole number; write one such as 3", quoted(text)));
  return negative ? -static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
}

Result<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
    return failure(fmt::format("{} is no number; write one such as 0.2", quoted(text)));
  }
  return value;
}

Result<Duration> parse_duration(std::string_view text) {
  const auto value = parse_number(text);
  if (!value) {
    if (const auto in_seconds = with_unit(text)) {
      return failure(fmt::format("{} has a unit; write the seconds alone: {:.12g}", quoted(text), *in_seconds));
    }
    return failure(fmt::format("{} is no number of seconds; write one such as 0.5", quoted(text)));
  }
  const double clamped = std::clamp(*value, -kMostSeconds, kMostSeconds);
  return Duration(std::llround(clamped * 1e9));
}

Result<bool> parse_switch(std::string_view text) {
  const auto word = lowered(text);
  if (word == "true" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "no" || word == "off") return false;
  return failure(fmt::format("{} is neither true nor false; write true, yes, on, false, no or off", quoted(text)));
}

std::string words_of(std::span<const Word> words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += words[i].text;
  }
  return out;
}

void read_option(const Option& option, const Item& item, Draft& draft, Remarks& remarks) {
  Reading reading{option, item, remarks, 0, std::nullopt, 0, false, 0};
  if (option.kind != Kind::kList) {
    if (item.append) {
      remarks.mistake(item.place, fmt::format("{} holds one value and cannot be added to; write '='", option.key));
      return;
    }
    if (item.in_braces || item.values.size() != 1) {
      remarks.mistake(item.place, fmt::format("{} takes one value, not a list; write '{} = {}'", option.key, option.key,
                                              option.standard.empty() ? option.sample : option.standard));
      return;
    }
    const std::string& text = reading.text().text;
    if (text.size() > 1 && text.back() == ';' && option.id != Key::kExpectBody) {
      return wrong(reading, fmt::format("{} ends with ';'; lines end without one: remove it", quoted(text)));
    }
  }
  bool good = true;
  switch (option.kind) {
    case Kind::kInteger:
      good = read_integer(reading);
      break;
    case Kind::kDuration:
      good = read_duration(reading);
      break;
    case Kind::kFraction:
      good = read_fraction(reading);
      break;
    case Kind::kSwitch:
      good = read_switch(reading);
      break;
    case Kind::kWord:
      good = read_word(reading);
      break;
    case Kind::kText:
      break;
    case Kind::kList:
      good = read_list(reading);
      break;
  }
  if (good) option.store(reading, draft);
}

}  // namespace har::config
