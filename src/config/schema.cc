#include "config/schema.h"

#include <algorithm>
#include <unordered_map>

#include "config/stores.h"
#include "config/suggest.h"

namespace har::config {
namespace {

constexpr double kDay = 86'400;

template <class T>
std::uint32_t u32(T value) {
  return static_cast<std::uint32_t>(value);
}
template <class T>
constexpr int number(T enumerator) {
  return static_cast<int>(enumerator);
}

constexpr Word kLogLevels[] = {{"error", number(LogLevel::kError)},
                               {"warning", number(LogLevel::kWarning)},
                               {"info", number(LogLevel::kInfo)},
                               {"debug", number(LogLevel::kDebug)}};
constexpr Word kSelectionMethods[] = {
    {"best_rtt", number(SelectionMethod::kBestRtt)},  {"group_rtt_rr", number(SelectionMethod::kGroupRttRr)},
    {"failover", number(SelectionMethod::kFailover)}, {"random", number(SelectionMethod::kRandom)},
    {"weighted", number(SelectionMethod::kWeighted)}, {"hash", number(SelectionMethod::kHash)}};
// The original's word for "forward" is "none".
constexpr Word kFailureModes[] = {
    {"all", number(FailureMode::kAll)},       {"last", number(FailureMode::kLast)},
    {"fixed", number(FailureMode::kFixed)},   {"forward", number(FailureMode::kForward)},
    {"nodata", number(FailureMode::kNodata)}, {"servfail", number(FailureMode::kServfail)},
    {"none", number(FailureMode::kForward)}};
constexpr Word kRttModes[] = {{"total", number(RttMode::kTotal)}, {"connect", number(RttMode::kConnect)}};
constexpr Word kHttpsRecords[] = {{"nodata", number(HttpsRecords::kNodata)},
                                  {"forward", number(HttpsRecords::kForward)}};
constexpr Word kCheckMethods[] = {
    {"http", number(CheckMethod::kHttp)}, {"https", number(CheckMethod::kHttps)}, {"tcp", number(CheckMethod::kTcp)}};
constexpr Word kInfinite[] = {{"infinite", 0}, {"infinity", 0}, {"inf", 0}};
constexpr Word kNone[] = {{"none", 0}};

constexpr std::uint8_t kInNameOrCandidate = kInName | kInCandidate;

#define HAR_STORE [](const Reading& r, Draft& d)

// Columns: id, key, where, kind, least, most, words, default, sample, documentation, store.
constexpr std::array<Option, kKeyCount> kOptions = {
    {{Key::kNameservers,
      "nameservers",
      kAtTop,
      Kind::kList,
      0,
      16,
      {},
      "",
      R"({ "192.0.2.1", "192.0.2.2#5353", "192.0.2.3:53", "[2001:db8::1]:53" })",
      "Resolvers to which everything else is forwarded. Default: those of /etc/resolv.conf except har itself, followed "
      "when "
      "the file changes.",
      store_nameservers},
     {Key::kDnsBindInterfaces,
      "dns_bind_interfaces",
      kAtTop,
      Kind::kList,
      1,
      64,
      {},
      "{ 127.0.0.1, ::1 }",
      "",
      "Addresses to answer on, exactly those written; names of interfaces are not taken. A default ::1 that the host "
      "lacks "
      "is left out.",
      store_dns_bind_interfaces},
     {Key::kDnsListenPort, "dns_listen_port", kAtTop, Kind::kInteger, 1, 65'535, {}, "53", "",
      "Port to answer on, UDP and TCP.", HAR_STORE{d.config->dns_listen_port = static_cast<std::uint16_t>(r.integer);
}  // namespace
}  // namespace har::config
,
    {Key::kAllowClients,
     "allow_clients",
     kAtTop,
     Kind::kList,
     1,
     4'096,
     {},
     "",
     R"({ 127.0.0.0/8, "::1", 192.0.2.0/24 })",
     "Networks that get answers; others get nothing. Default: loopback and the addresses of dns_bind_interfaces.",
     store_allow_clients},
    {Key::kResolverTimeout, "resolver_timeout", kAtTop, Kind::kDuration, 0.01, 2, {}, "1.0", "",
     "Seconds until a query to a resolver counts as unanswered. The client's query ends after 2 seconds in any case.",
     HAR_STORE{d.config->resolver_timeout = *r.duration;
}
}
, {Key::kMaxInFlight, "max_in_flight", kAtTop, Kind::kInteger, 16, 200'000, {}, "16384", "",
   "Queries that may wait for resolvers at one time; beyond it the oldest gets SERVFAIL.",
   HAR_STORE{d.config->max_in_flight = u32(r.integer);
}
}
, {Key::kTcpIdleTimeout, "tcp_idle_timeout", kAtTop, Kind::kDuration, 0.1, kDay, {}, "10", "",
   "Seconds after which an idle TCP connection of a client is closed.",
   HAR_STORE{d.config->tcp_idle_timeout = *r.duration;
}
}
, {Key::kTcpMaxConnections, "tcp_max_connections", kAtTop, Kind::kInteger, 1, 1'000'000, {}, "12000", "",
   "TCP connections of clients at one time; beyond it the longest idle one is closed.",
   HAR_STORE{d.config->tcp_max_connections = u32(r.integer);
}
}
, {Key::kTcpMaxInFlight, "tcp_max_in_flight", kAtTop, Kind::kInteger, 1, 65'535, {}, "128", "",
   "Unanswered queries of one TCP connection; beyond it reading pauses.",
   HAR_STORE{d.config->tcp_max_in_flight = u32(r.integer);
}
}
, {Key::kMaxProbesInFlight, "max_probes_in_flight", kAtTop, Kind::kInteger, 1, 100'000, {}, "2000", "",
   "Checks that may run at one time.", HAR_STORE{d.config->max_probes_in_flight = u32(r.integer);
}
}
, {Key::kMaxTlsHandshakes, "max_tls_handshakes", kAtTop, Kind::kInteger, 1, 100'000, {}, "64", "",
   "HTTPS checks that may be in their TLS handshake at one time.",
   HAR_STORE{d.config->max_tls_handshakes = u32(r.integer);
}
}
,
    {Key::kDataFile,
     "data_file",
     kAtTop,
     Kind::kText,
     0,
     0,
     {},
     "\"/var/lib/har/har.db\"",
     "",
     "Database of states and history (SQLite). A change needs a restart.",
     store_data_file},
    {Key::kStateMaxAge, "state_max_age", kAtTop, Kind::kDuration, 0, 365 * kDay, {}, "3600", "",
     "Seconds for which stored states count after a restart.", HAR_STORE{d.config->state_max_age = *r.duration;
}
}
,
    {Key::kControlSocket,
     "control_socket",
     kAtTop,
     Kind::kText,
     0,
     0,
     {},
     "\"/run/har/har.sock\"",
     "",
     "Socket of the har command. A change needs a restart.",
     store_control_socket},
    {Key::kHttpListen,
     "http_listen",
     kAtTop,
     Kind::kText,
     0,
     0,
     {},
     "off",
     "127.0.0.1:8053",
     "Address and port of the read-only status page and of /metrics, such as 127.0.0.1:8053 or [::1]:8053.",
     store_http_listen},
    {Key::kLogLevel, "log_level", kAtTop, Kind::kWord, 0, 0, kLogLevels, "info", "", "How much is logged.",
     HAR_STORE{d.config->log_level = static_cast<LogLevel>(r.word);
}
}
, {Key::kWorkers, "workers", kAtTop, Kind::kInteger, 1, 64, {}, "1", "",
   "Threads that answer queries. A change needs a restart.", HAR_STORE{d.config->workers = u32(r.integer);
}
}
, {Key::kUser, "user",
   kAtTop,     Kind::kText,
   0,          0,
   {},         "",
   "har",      "User to become once the sockets are open. Default: stay as started. A change needs a restart.",
   store_user},

    {Key::kTtl, "ttl", kInName, Kind::kInteger, 0, kDay, {}, "0", "", "Seconds for which clients may keep an answer.",
     HAR_STORE{d.name->ttl = u32(r.integer);
}
}
, {Key::kAnswerCount, "answer_count", kInName, Kind::kInteger, 1, 8, {}, "1", "",
   "Addresses in one answer at most, best first.",
   HAR_STORE{d.name->answer_count = static_cast<std::uint8_t>(r.integer);
}
}
, {Key::kMinAvailable, "min_available", kInName, Kind::kInteger, 1, 64, {}, "1", "",
   "Usable addresses a tier must have; when it has fewer, the next tier fills up what is short.",
   HAR_STORE{d.name->min_available = u32(r.integer);
}
}
, {Key::kSelectionMethod, "selection_method", kInName, Kind::kWord, 0, 0, kSelectionMethods, "best_rtt", "",
   "How the answer is chosen among the usable addresses of the tier: the fastest, those about as fast in turn, in the "
   "order "
   "of the file, at random, by weight, or by a hash of the host.",
   HAR_STORE{d.name->selection_method = static_cast<SelectionMethod>(r.word);
}
}
, {Key::kGroupRttThreshold, "group_rtt_threshold", kInName, Kind::kDuration, 0, 60, kInfinite, "infinite", "",
   "group_rtt_rr: seconds by which an address may be slower than the best and still take its turn.",
   HAR_STORE{d.name->group_rtt_threshold = r.duration;
}
}
, {Key::kSwitchMargin, "switch_margin", kInName, Kind::kFraction, 0, 1, {}, "0.2", "",
   "best_rtt: fraction by which another address must be faster to take the place of the chosen one.",
   HAR_STORE{d.name->switch_margin = r.fraction;
}
}
, {Key::kSwitchMarginMin, "switch_margin_min", kInName, Kind::kDuration, 0, 60, {}, "0.001", "",
   "best_rtt: seconds by which it must be faster at least.", HAR_STORE{d.name->switch_margin_min = *r.duration;
}
}
, {Key::kSwitchDwell, "switch_dwell", kInName, Kind::kDuration, 0, kDay, {}, "10", "",
   "best_rtt: seconds for which it must have been faster.", HAR_STORE{d.name->switch_dwell = *r.duration;
}
}
, {Key::kRttMode, "rtt_mode", kInName, Kind::kWord, 0, 0, kRttModes, "total", "",
   "What counts as the RTT: the whole check, or the TCP handshake alone.",
   HAR_STORE{d.name->rtt_mode = static_cast<RttMode>(r.word);
}
}
, {Key::kMaxRtt, "max_rtt", kInName, Kind::kDuration, 0.000001, 60, kNone, "none", "",
   "Seconds; a slower address is used only when nothing faster is up.", HAR_STORE{d.name->max_rtt = r.duration;
}
}
, {Key::kFailureMode, "failure_mode", kInName, Kind::kWord, 0, 0, kFailureModes, "all", "",
   "What is answered when nothing is usable: all addresses, the last one that was up, fixed_addresses, the resolvers' "
   "answer (forward, also called none), no addresses, or SERVFAIL.",
   HAR_STORE{d.name->failure_mode = static_cast<FailureMode>(r.word);
}
}
,
    {Key::kFixedAddresses,
     "fixed_addresses",
     kInName,
     Kind::kList,
     0,
     16,
     {},
     "",
     R"({ 192.0.2.10, "2001:db8::10" })",
     "The addresses of failure_mode = fixed.",
     store_fixed_addresses},
    {Key::kHttpsRecords, "https_records", kInName, Kind::kWord, 0, 0, kHttpsRecords, "nodata", "",
     "HTTPS and SVCB queries for the name: their hints would lead past the checks, so they get no data unless "
     "forwarded.",
     HAR_STORE{d.name->https_records = static_cast<HttpsRecords>(r.word);
}
}
, {Key::kFall, "fall", kInName, Kind::kInteger, 1, 100, {}, "3", "", "Failed checks that make an address down.",
   HAR_STORE{d.name->thresholds.fall = u32(r.integer);
}
}
, {Key::kRise, "rise", kInName, Kind::kInteger, 1, 100, {}, "2", "",
   "Good checks in a row that bring an address up again.", HAR_STORE{d.name->thresholds.rise = u32(r.integer);
}
}
, {Key::kOkReset, "ok_reset", kInName, Kind::kInteger, 1, 10'000, {}, "10", "",
   "Good checks in a row after which earlier failures are forgotten.",
   HAR_STORE{d.name->thresholds.ok_reset = u32(r.integer);
}
}
,

    {Key::kCheckFrequency, "check_frequency", kInNameOrCandidate, Kind::kDuration, 0.05, kDay, {}, "2", "",
     "Seconds from the start of one check to the start of the next.", HAR_STORE{d.check->check.frequency = *r.duration;
}
}
, {Key::kCheckFrequencyChanging, "check_frequency_changing", kInNameOrCandidate, Kind::kDuration, 0.01, kDay, {}, "",
   "0.5", "The same while a state may be about to change. Default: a quarter of check_frequency.",
   HAR_STORE{d.check->frequency_changing = *r.duration;
}
}
, {Key::kCheckFrequencyDown, "check_frequency_down", kInNameOrCandidate, Kind::kDuration, 0.05, kDay, {}, "15", "",
   "The same for what has been down for more than a minute, if larger than check_frequency.",
   HAR_STORE{d.check->check.frequency_down = *r.duration;
}
}
, {Key::kCheckTimeout, "check_timeout", kInNameOrCandidate, Kind::kDuration, 0.01, 60, {}, "1", "",
   "Seconds after which a check has failed.", HAR_STORE{d.check->check.timeout = *r.duration;
}
}
, {Key::kCheckMethod, "check_method", kInNameOrCandidate, Kind::kWord, 0, 0, kCheckMethods, "http", "",
   "Protocol of the check of a candidate without check_address.",
   HAR_STORE{d.check->method = static_cast<CheckMethod>(r.word);
}
}
, {Key::kCheckPort, "check_port", kInNameOrCandidate, Kind::kInteger, 1, 65'535, {}, "", "80",
   "Port of the check of a candidate without check_address. Default: 80 for http, 443 for https, none for tcp.",
   HAR_STORE{d.check->port = static_cast<std::uint16_t>(r.integer);
}
}
,
    {Key::kCheckPath,
     "check_path",
     kInNameOrCandidate,
     Kind::kText,
     0,
     0,
     {},
     "\"/\"",
     "",
     "Path of the check of a candidate without check_address.",
     store_check_path},
    {Key::kCheckHost,
     "check_host",
     kInNameOrCandidate,
     Kind::kText,
     0,
     0,
     {},
     "",
     "www.example.com",
     "Host name for the Host header, SNI and the certificate. Default: the host that is checked.",
     store_check_host},
    {Key::kCheckHeaders,
     "check_headers",
     kInNameOrCandidate,
     Kind::kList,
     0,
     64,
     {},
     "{ }",
     "",
     "Headers to send, such as { \"Accept: text/html\" }.",
     store_check_headers},
    {Key::kCheckTlsVerify, "check_tls_verify", kInNameOrCandidate, Kind::kSwitch, 0, 0, {}, "true", "",
     "Whether a certificate must be valid.", HAR_STORE{d.check->check.tls_verify = r.on;
}
}
,
    {Key::kCheckCaFile,
     "check_ca_file",
     kInNameOrCandidate,
     Kind::kText,
     0,
     0,
     {},
     "\"\"",
     "",
     "File of the certificates to trust; empty: those of the system.",
     store_check_ca_file},
    {Key::kExpectStatus,
     "expect_status",
     kInNameOrCandidate,
     Kind::kList,
     1,
     64,
     {},
     "{ 200-299 }",
     "",
     "HTTP statuses that are good: numbers and ranges.",
     store_expect_status},
    {Key::kExpectBody,
     "expect_body",
     kInNameOrCandidate,
     Kind::kText,
     0,
     0,
     {},
     "\"\"",
     "",
     "Text that the first 64 KiB of the body must hold; empty: any body is good.",
     store_expect_body},

    {Key::kCheckAddress,
     "check_address",
     kInCandidate,
     Kind::kText,
     0,
     0,
     {},
     "",
     "\"http://www1.east.example.com/\"",
     "What is checked: http://host[:port]/path, https://host[:port]/path or tcp://host:port. Default: the candidate's "
     "title is "
     "the host, and check_method, check_port and check_path say the rest.",
     store_check_address},
    {Key::kTier, "tier", kInCandidate, Kind::kInteger, 0, 1'000, {}, "0", "",
     "Candidates of a higher tier are used only when the lower ones are unavailable.",
     HAR_STORE{d.candidate->tier = u32(r.integer);
}
}
, {Key::kWeight, "weight", kInCandidate, Kind::kInteger, 0, 65'535, {}, "1", "",
   "weighted: the share of this candidate; 0: only when there is no other.",
   HAR_STORE{d.candidate->weight = u32(r.integer);
}
}
,
}
}
;

#undef HAR_STORE

constexpr bool in_order() {
  for (std::size_t i = 0; i < kOptions.size(); ++i) {
    if (static_cast<std::size_t>(kOptions[i].id) != i) return false;
  }
  return true;
}
static_assert(in_order(), "the table's rows stand in the order of Key");

const std::unordered_map<std::string_view, const Option*>& by_key() {
  static const auto kMap = [] {
    std::unordered_map<std::string_view, const Option*> out;
    for (const auto& option : kOptions) out.emplace(option.key, &option);
    return out;
  }();
  return kMap;
}

}  // namespace

std::span<const Option> options() { return kOptions; }

const Option* find_option(std::string_view key) {
  const auto found = by_key().find(key);
  return found == by_key().end() ? nullptr : found->second;
}

std::string_view suggest_key(std::string_view written, Where where) {
  // What may stand here comes first: of equally near ones the first is taken.
  std::vector<std::string_view> known, elsewhere;
  for (const auto& option : kOptions) ((option.where & where) != 0 ? known : elsewhere).push_back(option.key);
  for (const auto* section : {"name", "defaults", "include"}) (where == kAtTop ? known : elsewhere).push_back(section);
  (where == kInName ? known : elsewhere).push_back("candidate");
  known.insert(known.end(), elsewhere.begin(), elsewhere.end());
  return nearest(written, known);
}

}  // namespace har::config
