#include "config/rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>
#include <vector>

namespace har::config {
namespace {

constexpr double kHosts = 1'000;
constexpr std::size_t kShown = 20;

std::vector<const Check*> different_checks(const Config& config) {
  std::vector<const Check*> out;
  std::unordered_set<const Check*> seen;
  for (const auto& name : config.names) {
    for (const auto& candidate : name.candidates) {
      if (seen.insert(&*candidate.check).second) out.push_back(&*candidate.check);
    }
  }
  return out;
}

std::string endpoint(const Check& check) {
  const bool literal_v6 = check.host.find(':') != std::string::npos;
  const std::string_view scheme = check.method == CheckMethod::kHttp    ? "http"
                                  : check.method == CheckMethod::kHttps ? "https"
                                                                        : "tcp";
  return fmt::format("{}://{}{}{}:{}", scheme, literal_v6 ? "[" : "", check.host, literal_v6 ? "]" : "", check.port);
}

}  // namespace

double checks_per_second(const Config& config) {
  double sum = 0;
  for (const auto* check : different_checks(config)) sum += 1 / to_seconds(check->frequency);
  return sum;
}

std::string check_rate_report(const Config& config) {
  std::size_t candidates = 0;
  for (const auto& name : config.names) candidates += name.candidates.size();
  const auto checks = different_checks(config);
  // Several checks may go to one host and port.
  std::map<std::string, double> endpoints;
  double sum = 0;
  for (const auto* check : checks) {
    const double rate = 1 / to_seconds(check->frequency);
    sum += rate;
    endpoints[endpoint(*check)] += rate;
  }
  std::string out =
      fmt::format("names: {}, candidates: {}, different checks: {}\n", config.names.size(), candidates, checks.size());
  out += fmt::format("checks a second from one host: {:.6g}\n", sum);
  if (checks.empty()) return out;
  out += fmt::format("checks a second at an endpoint from {:.0f} hosts:\n", kHosts);
  std::vector<std::pair<std::string, double>> ordered(endpoints.begin(), endpoints.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  for (std::size_t i = 0; i < std::min(ordered.size(), kShown); ++i) {
    out += fmt::format("{:>12.6g}  {}\n", ordered[i].second * kHosts, ordered[i].first);
  }
  if (ordered.size() > kShown) {
    out += fmt::format("{:>12}  {} more, at most {:.6g} each\n", "", ordered.size() - kShown,
                       ordered[kShown].second * kHosts);
  }
  out += "(each address of a host counts on its own; jitter adds up to a ninth; more while states change)\n";
  return out;
}

}  // namespace har::config
