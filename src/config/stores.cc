#include "config/stores.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/value.h"

namespace har::config {
namespace {

constexpr std::size_t kMaxHeaderSize = 8'192;
constexpr std::size_t kMaxBodySize = 4'096;
constexpr std::size_t kMaxSocketPath = 107;  // sun_path less its NUL, unix(7)
constexpr std::size_t kMaxPath = 4'095;      // PATH_MAX less its NUL
constexpr std::ptrdiff_t kMaxFixed = 8;      // of one family: what an answer holds

void wrong(const Reading& reading, const Place& place, std::string_view what) {
  reading.remarks.mistake(place, fmt::format("{}: {}", reading.option.key, what));
}
void wrong(const Reading& reading, std::string_view what) { wrong(reading, reading.text().place, what); }

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

// "+=" again and again must not get round the limit, nor make the search for duplicates slow.
template <class T>
bool has_room(const Reading& reading, const Text& text, const std::vector<T>& list) {
  if (static_cast<double>(list.size()) < reading.option.most) return true;
  wrong(reading, text.place,
        fmt::format("{} is one too many; {} are possible, remove one", quoted(text.text), reading.option.most));
  return false;
}

// Adds to `list` unless it is there already.
template <class T>
void add_once(const Reading& reading, const Text& text, std::vector<T>& list, T value) {
  if (!has_room(reading, text, list)) return;
  if (std::find(list.begin(), list.end(), value) != list.end()) {
    return wrong(reading, text.place, fmt::format("{} is listed twice; remove one", quoted(text.text)));
  }
  list.push_back(std::move(value));
}

template <class T>
void add_once(const Reading& reading, const Text& text, std::vector<Placed<T>>& list, T value) {
  if (!has_room(reading, text, list)) return;
  if (std::any_of(list.begin(), list.end(), [&](const Placed<T>& known) { return known.value == value; })) {
    return wrong(reading, text.place, fmt::format("{} is listed twice; remove one", quoted(text.text)));
  }
  list.push_back({std::move(value), text.place});
}

// An absolute path without surprises; the disk is not looked at.
bool is_path(const Reading& reading, std::size_t longest) {
  const std::string& path = reading.text().text;
  if (path.empty() || path.front() != '/') {
    wrong(reading, fmt::format("{} is no absolute path; write one that begins with '/'", quoted(path)));
  } else if (path.back() == '/') {
    wrong(reading, fmt::format("{} names a folder; write the file's name behind it", quoted(path)));
  } else if (path.size() > longest) {
    wrong(reading, fmt::format("a path of {} octets; {} are possible, write a shorter one", path.size(), longest));
  } else if (has_control(path)) {
    wrong(reading, fmt::format("{} holds a control character; remove it", quoted(path)));
  } else {
    return true;
  }
  return false;
}

// Why a text that is no address might have been written as one to listen on.
std::string bind_hint(std::string_view text) {
  if (const auto with_port = parse_ip_port(text, 53)) {
    if (with_port->scope != 0)
      return "link-local addresses cannot be listened on; write another address of the interface";
    return fmt::format("the port is set by dns_listen_port; write {}", with_port->ip.to_string());
  }
  if (text.find('%') != std::string_view::npos) {
    return "link-local addresses cannot be listened on; write another address of the interface";
  }
  if (const auto prefix = IpPrefix::parse(text)) return fmt::format("write {}", shown(text.substr(0, text.find('/'))));
  return fmt::format("interface names are not taken; write the addresses of the interface (see 'ip address show {}')",
                     shown(text.substr(0, 15)));
}

// "200", "200-299"
std::optional<StatusRange> status_range(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = parse_integer(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_integer(text.substr(dash + 1));
  if (!first || !last || *first < 100 || *last > 599 || *first > *last) return std::nullopt;
  return StatusRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

// Sorted and joined, so that two ways to write the same set are the same check.
void normalize(std::vector<StatusRange>& ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<StatusRange> out;
  for (const auto& range : ranges) {
    if (!out.empty() && range.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  ranges = std::move(out);
}

bool is_token(std::string_view text) {  // RFC 9110 5.6.2
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// What is wrong with "Name: value"; empty: nothing.
std::string header_fault(std::string_view header) {
  const auto colon = header.find(':');
  if (colon == std::string_view::npos) return fmt::format("{} has no ':'; write \"Name: value\"", quoted(header));
  const auto name = header.substr(0, colon);
  if (!is_token(name)) return fmt::format("{} is no name of a header; write \"Name: value\"", quoted(name));
  if (has_control(header)) {
    return fmt::format("{} holds a control character; a header is one line: remove it", quoted(header));
  }
  if (header.find_first_not_of(' ', colon + 1) == std::string_view::npos) {
    return fmt::format("{} has no value; write \"{}: value\"", quoted(header), shown(name));
  }
  if (header.size() > kMaxHeaderSize)
    return fmt::format("{} is too long; {} octets are possible", quoted(header), kMaxHeaderSize);
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower == "host") return "Host is set by check_host; write it there";
  if (lower == "content-length" || lower == "transfer-encoding" || lower == "connection") {
    return fmt::format("{} belongs to the connection, not to the check; remove it", quoted(name));
  }
  return {};
}

}  // namespace

void store_nameservers(const Reading& reading, Draft& draft) {
  if (!reading.item.append) draft.nameservers->clear();
  for (const auto& text : reading.list()) {
    const auto server = parse_ip_port(text.text, 53);
    if (!server) {
      wrong(reading, text.place, server.error().message);
    } else if (server->ip.is_unspecified() || is_multicast(server->ip)) {
      wrong(reading, text.place, fmt::format("{} is no host's address; write the resolver's own", quoted(text.text)));
    } else {
      add_once(reading, text, *draft.nameservers, *server);
    }
  }
}

void store_dns_bind_interfaces(const Reading& reading, Draft& draft) {
  if (!reading.item.append) {
    draft.binds->clear();
  } else if (draft.binds->empty()) {  // "+=" adds to the default, as in libconfuse
    for (const auto* address : {"127.0.0.1", "::1"})
      draft.binds->push_back({*IpAddress::parse(address), reading.item.place});
  }
  for (const auto& text : reading.list()) {
    const auto address = IpAddress::parse(text.text);
    if (!address) {
      wrong(reading, text.place, fmt::format("{} is no IP address; {}", quoted(text.text), bind_hint(text.text)));
    } else if (is_link_local_v6(*address)) {
      wrong(reading, text.place, fmt::format("{}: {}", quoted(text.text), bind_hint("%")));
    } else if (is_multicast(*address)) {
      wrong(reading, text.place, fmt::format("{} is no host's address; write one of this host's", quoted(text.text)));
    } else if (const auto v4 = mapped_v4(*address)) {
      wrong(reading, text.place,
            fmt::format("{} is an IPv4 address in IPv6 form; write {}", quoted(text.text), v4->to_string()));
    } else {
      add_once(reading, text, *draft.binds, *address);
    }
  }
}

void store_allow_clients(const Reading& reading, Draft& draft) {
  auto& list = draft.config->allow_clients;
  if (!reading.item.append) list.clear();
  for (const auto& text : reading.list()) {
    const auto prefix = IpPrefix::parse(text.text);
    if (!prefix) {
      wrong(reading, text.place,
            fmt::format("{} is no network; write 192.0.2.0/24, 2001:db8::/32 or an address", quoted(text.text)));
      continue;
    }
    if (IpAddress::parse(text.text.substr(0, text.text.find('/'))) != prefix->ip) {
      reading.remarks.warning(text.place, fmt::format("{}: {} has bits behind its prefix and counts as {}",
                                                      reading.option.key, quoted(text.text), prefix->to_string()));
    }
    add_once(reading, text, list, *prefix);
  }
}

void store_http_listen(const Reading& reading, Draft& draft) {
  if (reading.text().text == "off") {
    draft.config->http_listen.reset();
    return;
  }
  const auto address = parse_ip_port(reading.text().text, std::nullopt);
  if (!address) return wrong(reading, address.error().message + ", or 'off'");
  if (is_multicast(address->ip)) return wrong(reading, "no host's address; write one of this host's");
  draft.config->http_listen = *address;
}

void store_data_file(const Reading& reading, Draft& draft) {
  if (is_path(reading, kMaxPath)) draft.config->data_file = reading.text().text;
}

void store_control_socket(const Reading& reading, Draft& draft) {
  if (is_path(reading, kMaxSocketPath)) draft.config->control_socket = reading.text().text;
}

void store_user(const Reading& reading, Draft& draft) {
  const std::string& user = reading.text().text;
  const bool good =
      user.size() <= 32 && (user.empty() || user.front() != '-') && std::all_of(user.begin(), user.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '.';
      });
  if (!good) return wrong(reading, fmt::format("{} is no name of a user; write one such as har", quoted(user)));
  draft.config->user = user;
}

void store_fixed_addresses(const Reading& reading, Draft& draft) {
  auto& list = draft.name->fixed_addresses;
  if (!reading.item.append) list.clear();
  for (const auto& text : reading.list()) {
    const auto address = IpAddress::parse(text.text);
    if (!address) {
      wrong(reading, text.place, fmt::format("{} is no IP address; write one such as 192.0.2.1", quoted(text.text)));
      continue;
    }
    const auto same_family = std::count_if(list.begin(), list.end(),
                                           [&](const IpAddress& known) { return known.family == address->family; });
    if (same_family == kMaxFixed) {
      wrong(reading, text.place,
            fmt::format("{} is one too many: an answer holds {} addresses; remove one", quoted(text.text), kMaxFixed));
      continue;
    }
    add_once(reading, text, list, *address);
  }
}

void store_check_address(const Reading& reading, Draft& draft) {
  auto address = parse_check_address(reading.text().text);
  if (!address) return wrong(reading, address.error().message);
  draft.check->address = std::move(*address);
}

void store_check_path(const Reading& reading, Draft& draft) {
  auto path = parse_path(reading.text().text);
  if (!path) return wrong(reading, path.error().message);
  draft.check->path = std::move(*path);
}

void store_check_host(const Reading& reading, Draft& draft) {
  if (reading.text().text.empty()) {  // back to the host that is resolved
    draft.check->http_host.clear();
    return;
  }
  auto host = parse_check_host(reading.text().text);
  if (!host) return wrong(reading, host.error().message);
  draft.check->http_host = std::move(*host);
}

void store_check_headers(const Reading& reading, Draft& draft) {
  auto& list = draft.check->check.http.edit().headers;
  if (!reading.item.append) list.clear();
  for (const auto& text : reading.list()) {
    if (const auto fault = header_fault(text.text); !fault.empty()) {
      wrong(reading, text.place, fault);
    } else if (has_room(reading, text, list)) {
      list.push_back(text.text);  // twice is allowed: some headers are
    }
  }
}

void store_check_ca_file(const Reading& reading, Draft& draft) {
  if (!reading.text().text.empty() && !is_path(reading, kMaxPath)) return;
  draft.check->check.http.edit().ca_file = reading.text().text;
}

void store_expect_status(const Reading& reading, Draft& draft) {
  auto ranges = reading.item.append ? draft.check->check.http->expect_status : std::vector<StatusRange>{};
  for (const auto& text : reading.list()) {
    std::string_view rest = text.text;
    bool any = false;
    while (!rest.empty()) {  // "200-299, 301" in one string is understood as well
      const auto end = std::min(rest.find_first_of(", "), rest.size());
      const auto word = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (word.empty()) continue;
      any = true;
      if (const auto range = status_range(word)) {
        ranges.push_back(*range);
      } else {
        wrong(reading, text.place,
              fmt::format("{} is no status; write a number from 100 to 599 or a range such as 200-299", quoted(word)));
      }
    }
    if (!any) wrong(reading, text.place, "an empty text is no status; write a number or a range such as 200-299");
  }
  if (ranges.empty()) return;  // all of them were wrong
  normalize(ranges);
  draft.check->check.http.edit().expect_status = std::move(ranges);
}

void store_expect_body(const Reading& reading, Draft& draft) {
  if (reading.text().text.size() > kMaxBodySize) {
    return wrong(reading, fmt::format("a text of more than {} octets; write a shorter part of the body", kMaxBodySize));
  }
  draft.check->check.http.edit().expect_body = reading.text().text;
}

}  // namespace har::config
