// The configuration as plain values, already checked: what every other part reads. Defaults are SEMANTICS' defaults.
// Not for: text and lines (reader.h), rules (check.h).
// Thread: immutable once built; shared as std::shared_ptr<const Config>.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/log.h"
#include "base/time.h"
#include "config/shared.h"

namespace har::config {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class CheckMethod : std::uint8_t { kHttp, kHttps, kTcp };
enum class SelectionMethod : std::uint8_t { kBestRtt, kGroupRttRr, kFailover, kRandom, kWeighted, kHash };
enum class FailureMode : std::uint8_t { kAll, kLast, kFixed, kForward, kNodata, kServfail };
enum class RttMode : std::uint8_t { kTotal, kConnect };
enum class HttpsRecords : std::uint8_t { kNodata, kForward };

struct StatusRange {
  std::uint16_t first = 200;
  std::uint16_t last = 299;  // inclusive
  auto operator<=>(const StatusRange&) const = default;
};

// What only http and https checks have.
struct HttpCheck {
  std::string path = "/";            // with query string
  std::string ca_file;               // empty: the system's bundle
  std::vector<std::string> headers;  // "Name: value"
  std::vector<StatusRange> expect_status = {{}};
  std::string expect_body;  // empty: no condition
  bool operator==(const HttpCheck&) const = default;
};

// How endpoints of a candidate are checked. Two checks of one address that compare equal are one probe.
struct Check {
  CheckMethod method = CheckMethod::kHttp;
  bool tls_verify = true;
  std::uint16_t port = 80;
  std::string host;       // what is resolved: lower case, no trailing dot; or an IP literal without brackets
  std::string http_host;  // Host and SNI: check_host, else `host` (brackets added for a literal by the prober)
  Shared<HttpCheck> http;
  Duration frequency = seconds(2);
  Duration frequency_changing = milliseconds(500);  // default: a quarter of frequency
  Duration frequency_down = seconds(15);
  Duration timeout = seconds(1);
  bool operator==(const Check&) const = default;
};

// The configuration, the health's book and the prober hold the same one. Those of a loaded Config that are equal are
// one, and so are their HttpChecks; load() can take them from the configuration before.
using SharedCheck = Shared<Check>;

struct Candidate {
  std::string title;  // as written
  SharedCheck check;
  std::uint32_t tier = 0;
  std::uint32_t weight = 1;
  int line = 0;
};

struct Thresholds {
  std::uint32_t fall = 3;
  std::uint32_t rise = 2;
  std::uint32_t ok_reset = 10;
  auto operator<=>(const Thresholds&) const = default;
};

struct Name {
  std::string host;       // lower case, no trailing dot, e.g. "api.example.com"
  std::uint32_t ttl = 0;  // seconds
  std::uint8_t answer_count = 1;
  std::uint32_t min_available = 1;
  SelectionMethod selection_method = SelectionMethod::kBestRtt;
  std::optional<Duration> group_rtt_threshold;  // absent: infinite
  double switch_margin = 0.2;
  Duration switch_margin_min = milliseconds(1);
  Duration switch_dwell = seconds(10);
  RttMode rtt_mode = RttMode::kTotal;
  std::optional<Duration> max_rtt;  // absent: none
  FailureMode failure_mode = FailureMode::kAll;
  std::vector<IpAddress> fixed_addresses;
  HttpsRecords https_records = HttpsRecords::kNodata;
  Thresholds thresholds;
  std::vector<Candidate> candidates;  // in the order of the file
  int line = 0;
};

struct Config {
  std::string data_file = "/var/lib/har/har.db";
  std::uint16_t dns_listen_port = 53;
  std::vector<IpAddress>
      dns_bind_interfaces;  // empty: the default, 127.0.0.1 and ::1 (the latter where the host has it)
  bool bind_default_v6 =
      false;  // dns_bind_interfaces was only added to: its ::1 is the default's, where the host has it
  std::vector<IpPrefix> allow_clients;  // empty: the default, loopback and the addresses listened to
  bool allow_clients_added = false;     // it was only added to: beside the default
  std::vector<IpPort> nameservers;      // empty: those of resolv.conf
  Duration resolver_timeout = seconds(1);
  std::uint32_t max_in_flight = 16'384;
  Duration tcp_idle_timeout = seconds(10);
  std::uint32_t tcp_max_connections = 12'000;
  std::uint32_t tcp_max_in_flight = 128;  // a connection
  std::uint32_t max_probes_in_flight = 2'000;
  std::uint32_t max_tls_handshakes = 64;
  Duration state_max_age = std::chrono::hours(1);
  std::uint32_t workers = 1;
  std::string control_socket = "/run/har/har.sock";
  std::optional<IpPort> http_listen;
  LogLevel log_level = LogLevel::kInfo;
  std::string user;  // empty: the uid stays as it is
  std::vector<Name> names;
};

}  // namespace har::config
