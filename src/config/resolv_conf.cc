#include "config/resolv_conf.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace har::config {
namespace {

constexpr std::size_t kMaxServers = 16;  // the C library uses three
constexpr std::string_view kBlanks = " \t\r\f\v";

struct Line {
  std::string_view address;  // the word behind "nameserver"
  bool ended = true;         // a newline or a blank stands behind the word
};

// Keywords begin at the start of a line and end at a blank, as the C library reads them.
std::optional<Line> nameserver_line(std::string_view line, bool terminated) {
  constexpr std::string_view kKey = "nameserver";
  if (line.substr(0, kKey.size()) != kKey) return std::nullopt;
  line.remove_prefix(kKey.size());
  if (line.empty() || kBlanks.find(line.front()) == std::string_view::npos) return std::nullopt;
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const auto end = std::min(line.find_first_of(kBlanks), line.size());
  return Line{line.substr(0, end), terminated || end < line.size()};
}

std::optional<IpPort> server(std::string_view text, const InterfaceIndex& interface_index) {
  const auto percent = text.find('%');
  const auto ip = IpAddress::parse(text.substr(0, percent));
  if (!ip) return std::nullopt;
  IpPort out{*ip, 53, 0};
  if (percent == std::string_view::npos) return out;
  if (ip->family != Family::kV6) return std::nullopt;
  const auto scope = text.substr(percent + 1);
  const auto [end, error] = std::from_chars(scope.data(), scope.data() + scope.size(), out.scope);
  if (error != std::errc{} || end != scope.data() + scope.size()) {
    out.scope = interface_index ? interface_index(std::string(scope)) : 0;
  }
  // A link-local server without its interface cannot be reached.
  if (out.scope == 0) return std::nullopt;
  return out;
}

// Could this be the beginning of an address? An odd word such as "auto" is not: it is passed over.
bool may_be_cut(std::string_view text) {
  const auto head = text.substr(0, text.find('%'));
  return std::all_of(head.begin(), head.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '.' || c == ':';
  });
}

}  // namespace

std::vector<IpPort> parse_resolv_conf(std::string_view text, const InterfaceIndex& interface_index) {
  std::vector<IpPort> out;
  while (!text.empty()) {
    const auto newline = text.find('\n');
    const bool terminated = newline != std::string_view::npos;
    const auto line = nameserver_line(text.substr(0, newline), terminated);
    text.remove_prefix(terminated ? newline + 1 : text.size());
    if (!line) continue;
    const auto one = server(line->address, interface_index);
    if (!one) {
      // The file ends within an address: somebody is writing it. What stands above may be half of the list.
      if (!line->ended && may_be_cut(line->address)) return {};
      continue;
    }
    if (out.size() < kMaxServers && std::find(out.begin(), out.end(), *one) == out.end()) out.push_back(*one);
  }
  return out;
}

}  // namespace har::config
