// The configuration from hostile text: several files and variables out of one input. Nothing may crash, every mistake
// has a place, what is accepted must mean the same in all when it is read again from what was kept, and no text of it
// may end or add a line in a check's request. The same text as a resolv.conf. Input: files separated by lines
// "\n--NAME\n"; the first is called "t".
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "config/load.h"
#include "config/rate.h"
#include "config/resolv_conf.h"
#include "probe/http_wire.h"

namespace {

using namespace har;
using namespace har::config;

void require(bool condition) {
  if (!condition) std::abort();
}

std::vector<SourceFile> split(std::string_view text) {
  std::vector<SourceFile> out;
  std::string name = "t";
  while (true) {
    const auto mark = text.find("\n--");
    const auto end = mark == std::string_view::npos ? mark : text.find('\n', mark + 3);
    out.push_back({name, std::string(text.substr(0, mark))});
    if (end == std::string_view::npos || out.size() == 8) return out;
    name = text.substr(mark + 3, end - mark - 3);
    text.remove_prefix(end + 1);
  }
}

void compare(const Candidate& a, const Candidate& b) {
  require(a.title == b.title && *a.check == *b.check && a.tier == b.tier && a.weight == b.weight && a.line == b.line);
}

void compare(const Name& a, const Name& b) {
  require(a.host == b.host && a.ttl == b.ttl && a.answer_count == b.answer_count && a.line == b.line);
  require(a.min_available == b.min_available && a.selection_method == b.selection_method);
  require(a.group_rtt_threshold == b.group_rtt_threshold && a.switch_margin == b.switch_margin);
  require(a.switch_margin_min == b.switch_margin_min && a.switch_dwell == b.switch_dwell);
  require(a.rtt_mode == b.rtt_mode && a.max_rtt == b.max_rtt && a.failure_mode == b.failure_mode);
  require(a.fixed_addresses == b.fixed_addresses && a.https_records == b.https_records);
  require(a.thresholds == b.thresholds && a.candidates.size() == b.candidates.size());
  for (std::size_t i = 0; i < a.candidates.size(); ++i) compare(a.candidates[i], b.candidates[i]);
}

void compare(const Config& a, const Config& b) {
  require(a.data_file == b.data_file && a.control_socket == b.control_socket && a.user == b.user);
  require(a.dns_listen_port == b.dns_listen_port && a.dns_bind_interfaces == b.dns_bind_interfaces);
  require(a.bind_default_v6 == b.bind_default_v6 && a.allow_clients == b.allow_clients);
  require(a.allow_clients_added == b.allow_clients_added);
  require(a.nameservers == b.nameservers && a.resolver_timeout == b.resolver_timeout && a.workers == b.workers);
  require(a.max_in_flight == b.max_in_flight && a.tcp_idle_timeout == b.tcp_idle_timeout);
  require(a.tcp_max_connections == b.tcp_max_connections && a.tcp_max_in_flight == b.tcp_max_in_flight);
  require(a.max_probes_in_flight == b.max_probes_in_flight && a.max_tls_handshakes == b.max_tls_handshakes);
  require(a.state_max_age == b.state_max_age && a.http_listen == b.http_listen && a.log_level == b.log_level);
  require(a.names.size() == b.names.size());
  for (std::size_t i = 0; i < a.names.size(); ++i) compare(a.names[i], b.names[i]);
}

// The request that a check sends: what was configured cannot add a line to it, nor end it early.
void request_must_hold(const Check& check) {
  const std::string request = probe::request_text(check);
  require(request.starts_with("GET /") && request.find("\r\n\r\n") == request.size() - 4);
  require(request.find('\0') == std::string::npos);
  require(static_cast<std::size_t>(std::count(request.begin(), request.end(), '\n')) <= check.http->headers.size() + 5);
  for (std::size_t at = 0; at < request.size(); ++at) {
    if (request[at] == '\n') require(request[at - 1] == '\r');
    if (request[at] == '\r') require(request[at + 1] == '\n');
  }
}

void resolv_conf_must_hold(std::string_view text) {
  const auto index = [](const std::string& name) { return static_cast<std::uint32_t>(name.size()); };
  const auto servers = parse_resolv_conf(text, index);
  require(servers.size() <= 16);
  for (auto one = servers.begin(); one != servers.end(); ++one) {
    require(one->port == 53 && std::find(servers.begin(), one, *one) == one);
    require(one->ip.family == Family::kV6 || one->scope == 0);
  }
  // What is read is read again as it was; a file that is cut within an address gives nothing, or the list above.
  std::string again;
  for (const IpPort& one : servers) {
    again += "nameserver " + one.ip.to_string() + (one.scope != 0 ? "%" + std::to_string(one.scope) : "") + "\n";
  }
  require(parse_resolv_conf(again, index) == servers);
}

// What every reader of a Config relies on.
void must_hold(const Config& config) {
  for (const auto& name : config.names) {
    require(!name.host.empty() && name.host.size() <= 253 && name.host.back() != '.');
    require(std::none_of(name.host.begin(), name.host.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
    require(name.answer_count >= 1 && name.answer_count <= 8 && !name.candidates.empty());
    require(name.failure_mode != FailureMode::kFixed || !name.fixed_addresses.empty());
    require(name.thresholds.fall > 0 && name.thresholds.rise > 0 && name.thresholds.ok_reset > 0);
    for (const auto& candidate : name.candidates) {
      const Check& check = candidate.check;
      require(!candidate.title.empty() && !check.host.empty() && check.port != 0);
      require(check.frequency > Duration::zero() && check.frequency_changing > Duration::zero());
      require(check.frequency_changing <= check.frequency && check.timeout > Duration::zero());
      if (check.method == CheckMethod::kTcp) continue;
      require(check.http->path.starts_with('/') && !check.http_host.empty() && !check.http->expect_status.empty());
      for (const auto& header : check.http->headers) require(header.find_first_of("\r\n") == std::string::npos);
      request_must_hold(check);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  resolv_conf_must_hold(text);

  const Environment environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "A") return "a.example";
    if (name == "HOME") return "/h";
    if (name == "QUOTE") return "\" } {";
    return std::nullopt;
  };
  const auto loaded = load("t", bundle_source(split(text)), environment);
  for (const auto& list : {loaded.mistakes, loaded.warnings}) {
    for (const auto& one : list) {
      require(!one.what.empty() && one.line >= 0 && one.what.size() < 2'000);
      for (const char c : one.what) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
    }
  }
  require(!loaded.data_file_hint.empty() && loaded.data_file_hint.front() == '/');
  require((loaded.config == nullptr) == !loaded.mistakes.empty());
  if (!loaded.config) return 0;
  must_hold(*loaded.config);
  require(!check_rate_report(*loaded.config).empty());
  const auto again = load("t", bundle_source(loaded.files), bundle_environment(loaded.variables));
  require(again.config != nullptr);
  compare(*loaded.config, *again.config);
  return 0;
}
