#include "config/rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace har::config {
namespace {

constexpr double kHosts = 1'000;
constexpr std::size_t kShown = 20;

// Equal checks share this; the few that share it without being equal are told apart by ==.
std::size_t hash_of(const Check& check) {
  const std::hash<std::string> text;
  std::size_t out = text(check.host);
  for (const auto more : {text(check.path), text(check.http_host), static_cast<std::size_t>(check.port),
                          static_cast<std::size_t>(check.frequency.count())}) {
    out = out * 31 + more;
  }
  return out;
}

std::vector<const Check*> different_checks(const Config& config) {
  std::vector<const Check*> out;
  std::unordered_multimap<std::size_t, const Check*> seen;
  for (const auto& name : config.names) {
    for (const auto& candidate : name.candidates) {
      const auto hash = hash_of(candidate.check);
      const auto [first, last] = seen.equal_range(hash);
      if (std::any_of(first, last, [&](const auto& known) { return *known.second == candidate.check; })) continue;
      seen.emplace(hash, &candidate.check);
      out.push_back(&candidate.check);
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
