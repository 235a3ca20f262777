#include "config/check_pool.h"

#include <string_view>

namespace har::config {

// What tells checks apart in practice; the few that share it without being equal are told apart by ==.
std::size_t CheckPool::Hash::operator()(const SharedCheck& check) const {
  const std::hash<std::string_view> text;
  std::size_t out = text(check->host);
  for (const auto more : {text(check->http->path), text(check->http_host), static_cast<std::size_t>(check->port),
                          static_cast<std::size_t>(check->frequency.count())}) {
    out = out * 31 + more;
  }
  return out;
}

std::size_t CheckPool::Hash::operator()(const Shared<HttpCheck>& http) const {
  const std::hash<std::string_view> text;
  std::size_t out = text(http->path) * 31 + text(http->expect_body);
  for (const std::string& header : http->headers) out = out * 31 + text(header);
  return out;
}

CheckPool::CheckPool(const Config* before) {
  if (before == nullptr) return;
  for (const auto& name : before->names) {
    for (const auto& candidate : name.candidates) {
      checks_.insert(candidate.check);
      https_.insert(candidate.check->http);
    }
  }
}

SharedCheck CheckPool::share(Check check) {
  check.http = *https_.insert(check.http).first;
  return *checks_.emplace(std::move(check)).first;
}

}  // namespace har::config
