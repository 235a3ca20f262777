// One spelling of texts for both sides of the comparison.
#pragma once

#include <string>
#include <string_view>

inline std::string escaped(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char each : text) {
    const auto c = static_cast<unsigned char>(each);
    if (c > 0x20 && c < 0x7F && std::string_view("\\|[](){}=").find(each) == std::string_view::npos) {
      out += each;
    } else {
      out += {'\\', kHex[c >> 4], kHex[c & 15]};
    }
  }
  return out;
}
