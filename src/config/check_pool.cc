#include "config/check_pool.h"

#include <string_view>

namespace har::config {

// What tells checks apart in practice; the few that share it without being equal are told apart by ==.
std::size_t CheckPool::Hash::operator()(const SharedCheck& check) const {
  const std::hash<std::string_view> text;
  std::size_t out = text(check->host);
  for (const auto more : {text(check->path), text(check->http_host), static_cast<std::size_t>(check->port),
                          static_cast<std::size_t>(check->frequency.count())}) {
    out = out * 31 + more;
  }
  return out;
}

CheckPool::CheckPool(const Config* before) {
  if (before == nullptr) return;
  for (const auto& name : before->names) {
    for (const auto& candidate : name.candidates) checks_.insert(candidate.check);
  }
}

SharedCheck CheckPool::share(Check check) { return *checks_.emplace(std::move(check)).first; }

}  // namespace har::config
