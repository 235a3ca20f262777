#include "config/remarks.h"

#include <fmt/format.h>

#include <algorithm>

namespace har::config {

std::string Mistake::to_string() const {
  return line == 0 ? fmt::format("{}: {}", file, what) : fmt::format("{}:{}: {}", file, line, what);
}

std::vector<Mistake> Remarks::sorted(const std::vector<Remark>& remarks, const std::vector<std::string>& paths) {
  std::vector<const Remark*> order;
  order.reserve(remarks.size());
  for (const auto& remark : remarks) order.push_back(&remark);
  std::stable_sort(order.begin(), order.end(),
                   [](const Remark* a, const Remark* b) { return a->place.order < b->place.order; });
  std::vector<Mistake> out;
  for (const auto* remark : order) {
    Mistake one{remark->place.file < paths.size() ? paths[remark->place.file] : "", remark->place.line, remark->what};
    // A value inherited by many names breaks a rule once for each of them, in the same words: say it once.
    if (out.empty() || out.back() != one) out.push_back(std::move(one));
  }
  return out;
}

std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string out;
  for (const char c : text.substr(0, kLongest)) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7F) {
      out += fmt::format("\\x{:02x}", octet);
    } else {
      out += c;
    }
  }
  if (text.size() > kLongest) {
    // Not in the middle of a UTF-8 sequence.
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) out.pop_back();
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0) out.pop_back();
    out += "...";
  }
  return out;
}

std::string quoted(std::string_view text) { return "'" + shown(text) + "'"; }

}  // namespace har::config
