// The configuration from hostile text: several files and variables out of one input. Nothing may crash, every mistake
// has a place, and what is accepted must mean the same when it is read again from what was kept. Input: files separated
// by lines "\n--NAME\n"; the first is called "t".
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "config/load.h"
#include "config/rate.h"
#include "config/resolv_conf.h"

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

bool same(const Check& a, const Check& b) { return a == b; }

void compare(const Config& a, const Config& b) {
  require(a.data_file == b.data_file && a.control_socket == b.control_socket && a.user == b.user);
  require(a.nameservers == b.nameservers && a.dns_bind_interfaces == b.dns_bind_interfaces);
  require(a.allow_clients == b.allow_clients && a.http_listen == b.http_listen && a.names.size() == b.names.size());
  for (std::size_t i = 0; i < a.names.size(); ++i) {
    require(a.names[i].host == b.names[i].host && a.names[i].candidates.size() == b.names[i].candidates.size());
    for (std::size_t j = 0; j < a.names[i].candidates.size(); ++j) {
      require(same(a.names[i].candidates[j].check, b.names[i].candidates[j].check));
    }
  }
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
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  parse_resolv_conf(text, [](const std::string& name) { return static_cast<std::uint32_t>(name.size()); });

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
