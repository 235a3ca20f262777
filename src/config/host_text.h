// Host names, check addresses (URLs) and address-and-port texts as they stand in the configuration.
// Failures are messages for a person without the place: "what is wrong; what would be right".
// Source: RFC 1035 2.3.1, RFC 1123 2.1 (and '_', which is in use), RFC 3986 for the URLs.
// Thread: any.  Tested by: host_text_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "base/result.h"
#include "config/config.h"

namespace har::config {

// Lower case, no trailing dot. An address is refused, and so is a wildcard.
Result<std::string> parse_host_name(std::string_view text);

// What a check may be made of: a host name as above, or an address (brackets round IPv6 allowed; without them
// afterwards).
Result<std::string> parse_check_host(std::string_view text);

// Path and query of an HTTP request: begins with '/', printable ASCII without blanks and '#'.
Result<std::string> parse_path(std::string_view text);

struct CheckAddress {
  CheckMethod method = CheckMethod::kHttp;
  std::string host;  // as parse_check_host gives it
  std::uint16_t port = 80;
  std::string path = "/";
};
// http://host[:port][/path], https://..., tcp://host:port
Result<CheckAddress> parse_check_address(std::string_view text);

// "192.0.2.1", "192.0.2.1:53", "192.0.2.1#53", "2001:db8::1", "2001:db8::1#53", "[2001:db8::1]", "[2001:db8::1]:53",
// and "fe80::1%2" in the forms of IPv6. Without `default_port` the port must be there.
Result<IpPort> parse_ip_port(std::string_view text, std::optional<std::uint16_t> default_port);

bool is_link_local_v6(const IpAddress& address);  // fe80::/10
// That of a host that a check can be sent to and a client told: not unspecified (connecting there reaches ourselves),
// not multicast or reserved, not link-local (which says nothing without an interface), not IPv4 in IPv6 form.
bool is_host_address(const IpAddress& address);
bool is_multicast(const IpAddress& address);  // and what is reserved above it in IPv4
// The IPv4 address inside ::ffff:0:0/96: one host must not have two spellings here.
std::optional<IpAddress> mapped_v4(const IpAddress& address);

}  // namespace har::config
