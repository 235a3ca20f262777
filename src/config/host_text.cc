#include "config/host_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/remarks.h"

namespace har::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint16_t> port_number(std::string_view text) {
  const auto port = whole_number<std::uint16_t>(text);
  return port && *port != 0 ? port : std::nullopt;
}

Result<std::uint16_t> parse_port(std::string_view text) {
  if (const auto port = port_number(text)) return *port;
  return failure(fmt::format("{} is no port; write a number from 1 to 65535", quoted(text)));
}

std::string_view without_trailing_dot(std::string_view text) {
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  return text;
}

// An address that a check can be sent to.
Result<std::string> checked_literal(const IpAddress& address) {
  const auto text = address.to_string();
  if (address.is_unspecified() || is_multicast(address)) {
    return failure(fmt::format("{} is no host's address; write the host's own", quoted(text)));
  }
  if (const auto v4 = mapped_v4(address)) {
    return failure(fmt::format("{} is an IPv4 address in IPv6 form; write {}", quoted(text), v4->to_string()));
  }
  if (is_link_local_v6(address)) {
    return failure(
        fmt::format("{} is link-local and says nothing without an interface; write a global address", quoted(text)));
  }
  return text;
}

}  // namespace

bool is_link_local_v6(const IpAddress& address) {
  return address.family == Family::kV6 && address.bytes[0] == 0xFE && (address.bytes[1] & 0xC0) == 0x80;
}

std::optional<IpAddress> mapped_v4(const IpAddress& address) {
  if (address.family != Family::kV6 || address.bytes[10] != 0xFF || address.bytes[11] != 0xFF) return std::nullopt;
  if (std::any_of(address.bytes.begin(), address.bytes.begin() + 10, [](std::uint8_t b) { return b != 0; })) {
    return std::nullopt;
  }
  return IpAddress::v4(address.bytes.data() + 12);
}

bool is_multicast(const IpAddress& address) {
  if (address.family == Family::kV6) return address.bytes[0] == 0xFF;
  return address.bytes[0] >= 224;  // and the reserved block behind it, with the broadcast address
}

bool is_host_address(const IpAddress& address) {
  return !address.is_unspecified() && !is_multicast(address) && !mapped_v4(address) && !is_link_local_v6(address);
}

Result<std::string> parse_host_name(std::string_view text) {
  const auto name = without_trailing_dot(text);
  if (name.empty()) return failure(fmt::format("{} is no host name; write one such as www.example.com", quoted(text)));
  if (IpAddress::parse(name)) return failure(fmt::format("{} is an address; write a host name", quoted(text)));
  if (name.find('*') != std::string_view::npos) {
    return failure(fmt::format("wildcards such as {} are not supported; write each name in full", quoted(text)));
  }
  if (name.size() > 253) {
    return failure(fmt::format("{} is longer than a name can be (253); write a shorter one", quoted(text)));
  }
  std::size_t start = 0;
  std::string_view label;
  while (start <= name.size()) {
    const auto dot = std::min(name.find('.', start), name.size());
    label = name.substr(start, dot - start);
    if (label.empty()) return failure(fmt::format("{} has an empty label; write one dot at a time", quoted(text)));
    if (label.size() > 63) {
      return failure(
          fmt::format("{} in {} is longer than a label can be (63); write a shorter one", quoted(label), quoted(text)));
    }
    start = dot + 1;
  }
  for (const char c : name) {
    const char l = lower(c);
    if ((l >= 'a' && l <= 'z') || is_digit(l) || l == '-' || l == '_' || l == '.') continue;
    if (static_cast<unsigned char>(c) >= 0x80) {
      return failure(fmt::format("{} is not ASCII; write the name's xn-- form", quoted(text)));
    }
    if (c == ':' || c == '/') {
      return failure(fmt::format("{} holds {} and is no host name; write the name alone, such as www.example.com",
                                 quoted(text), quoted(std::string_view(&c, 1))));
    }
    return failure(fmt::format("{} cannot stand in a host name ({}); letters, digits, '-', '_' and dots can",
                               quoted(std::string_view(&c, 1)), quoted(text)));
  }
  // The last label of a name is never a number (RFC 1123 2.1): this was meant as an address.
  if (std::all_of(label.begin(), label.end(), is_digit)) {
    return failure(fmt::format("{} is neither a host name nor an address; write one of them in full", quoted(text)));
  }
  return lowered(name);
}

Result<std::string> parse_check_host(std::string_view text) {
  auto inside = text;
  if (inside.size() >= 2 && inside.front() == '[' && inside.back() == ']') {
    inside = inside.substr(1, inside.size() - 2);
    const auto address = IpAddress::parse(inside);
    if (!address || address->family != Family::kV6) {
      return failure(
          fmt::format("{} is no IPv6 address; write one in the brackets, such as [2001:db8::1]", quoted(text)));
    }
  }
  if (const auto address = IpAddress::parse(inside)) return checked_literal(*address);
  return parse_host_name(inside);
}

Result<std::string> parse_path(std::string_view text) {
  if (text.empty() || text.front() != '/') {
    return failure(fmt::format("the path {} does not begin with '/'; write '/{}'", quoted(text), shown(text)));
  }
  if (text.size() > 4096) return failure("the path is longer than 4096 octets; write a shorter one");
  for (const char c : text) {
    if (c == '#') return failure(fmt::format("'#' and what follows in {} is never sent; remove it", quoted(text)));
    const unsigned octet = static_cast<unsigned char>(c);
    if (octet <= 0x20 || octet >= 0x7F || c == '\\' || c == '"' || c == '<' || c == '>') {
      return failure(fmt::format("{} cannot stand in a path; write %{:02X}", quoted(std::string_view(&c, 1)), octet));
    }
  }
  return std::string(text);
}

Result<CheckAddress> parse_check_address(std::string_view text) {
  constexpr std::string_view kForms = "write http://host[:port]/path, https://host[:port]/path or tcp://host:port";
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) {
    return failure(fmt::format("{} says no protocol; {}", quoted(text), kForms));
  }
  CheckAddress out;
  const auto scheme = lowered(text.substr(0, colon));
  if (scheme == "https") {
    out.method = CheckMethod::kHttps;
    out.port = 443;
  } else if (scheme == "tcp") {
    out.method = CheckMethod::kTcp;
  } else if (scheme != "http") {
    return failure(fmt::format("{} is no protocol that can be checked; {}", quoted(scheme), kForms));
  }
  const auto rest = text.substr(colon + 3);
  const auto authority_end = std::min(rest.find_first_of("/?#\\"), rest.size());
  const auto authority = rest.substr(0, authority_end);
  const auto path = rest.substr(authority_end);

  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    return failure(fmt::format(
        "{} carries a user or password; write it as check_headers = {{ \"Authorization: ...\" }}", quoted(text)));
  }
  // The host ends at the bracket, or at the only colon.
  std::size_t host_end = 0;
  if (!authority.empty() && authority.front() == '[') {
    const auto bracket = authority.find(']');
    if (bracket == std::string_view::npos) {
      return failure(fmt::format("']' is missing in {}; write [2001:db8::1]", quoted(text)));
    }
    host_end = bracket + 1;
    if (host_end < authority.size() && authority[host_end] != ':') {
      return failure(fmt::format("{} behind the ']' of {}; write [2001:db8::1]:port",
                                 quoted(authority.substr(host_end)), quoted(text)));
    }
  } else {
    host_end = std::min(authority.find(':'), authority.size());
    if (authority.find(':', host_end + (host_end < authority.size() ? 1 : 0)) != std::string_view::npos) {
      return failure(
          fmt::format("more than one ':' in the host of {}; write an IPv6 address in brackets", quoted(text)));
    }
  }
  auto host = parse_check_host(authority.substr(0, host_end));
  if (!host) return tl::unexpected<Error>(host.error());
  out.host = std::move(*host);
  if (host_end < authority.size()) {
    const auto port = parse_port(authority.substr(host_end + 1));
    if (!port) return tl::unexpected<Error>(port.error());
    out.port = *port;
  } else if (out.method == CheckMethod::kTcp) {
    return failure(fmt::format("{} says no port; write tcp://host:port", quoted(text)));
  }
  if (out.method == CheckMethod::kTcp) {
    if (!path.empty()) return failure(fmt::format("a TCP check has no path ({}); write tcp://host:port", quoted(path)));
    return out;
  }
  if (path.empty()) return out;
  auto checked = parse_path(path.front() == '?' ? "/" + std::string(path) : std::string(path));
  if (!checked) return tl::unexpected<Error>(checked.error());
  out.path = std::move(*checked);
  return out;
}

namespace {

// The parts of an address-and-port text. A text without brackets and with two colons or more is IPv6 without ':port'.
struct Parts {
  std::string_view address;
  std::optional<std::string_view> port;
};

std::optional<Parts> split(std::string_view text) {
  if (!text.empty() && text.front() == '[') {
    const auto bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    const auto behind = text.substr(bracket + 1);
    if (behind.empty()) return Parts{text.substr(1, bracket - 1), std::nullopt};
    if (behind.front() != ':' && behind.front() != '#') return std::nullopt;
    return Parts{text.substr(1, bracket - 1), behind.substr(1)};
  }
  auto mark = text.find('#');
  if (mark == std::string_view::npos && std::count(text.begin(), text.end(), ':') == 1) mark = text.find(':');
  if (mark == std::string_view::npos) return Parts{text, std::nullopt};
  return Parts{text.substr(0, mark), text.substr(mark + 1)};
}

}  // namespace

Result<IpPort> parse_ip_port(std::string_view text, std::optional<std::uint16_t> default_port) {
  const std::string_view forms = default_port ? "write 192.0.2.1, 192.0.2.1:53, 192.0.2.1#53 or [2001:db8::1]:53"
                                              : "write 127.0.0.1:8053 or [::1]:8053";
  const auto parts = split(text);
  if (!parts) return failure(fmt::format("{} is no address with a port; {}", quoted(text), forms));
  IpPort out;
  auto address = parts->address;
  std::optional<std::string_view> scope;
  if (const auto percent = address.find('%'); percent != std::string_view::npos) {
    scope = address.substr(percent + 1);
    address = address.substr(0, percent);
  }
  const auto ip = IpAddress::parse(address);
  if (!ip) return failure(fmt::format("{} is no IP address; {}", quoted(text), forms));
  out.ip = *ip;
  if (const auto v4 = mapped_v4(out.ip)) {
    return failure(fmt::format("{} is an IPv4 address in IPv6 form; write {}", quoted(text), v4->to_string()));
  }
  if (scope) {
    const auto index = whole_number<std::uint32_t>(*scope);
    if (!index || *index == 0) {
      return failure(
          fmt::format("{} names an interface; write its number (see 'ip link'), such as fe80::1%2", quoted(text)));
    }
    if (!is_link_local_v6(out.ip)) {
      return failure(
          fmt::format("{} is not link-local and takes no interface; remove '%{}'", quoted(text), shown(*scope)));
    }
    out.scope = *index;
  } else if (is_link_local_v6(out.ip)) {
    return failure(
        fmt::format("{} is link-local; write the number of its interface behind it, such as fe80::1%2", quoted(text)));
  }
  if (parts->port) {
    const auto port = parse_port(*parts->port);
    if (!port) return tl::unexpected<Error>(port.error());
    out.port = *port;
  } else if (default_port) {
    out.port = *default_port;
  } else {
    return failure(fmt::format("{} says no port; {}", quoted(text), forms));
  }
  return out;
}

}  // namespace har::config
