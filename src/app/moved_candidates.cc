#include "app/moved_candidates.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace har::app {
namespace {

bool asks_elsewhere(const config::Check& a, const config::Check& b) {
  return a.host != b.host || a.port != b.port || a.method != b.method;
}

}  // namespace

MovedCandidates moved_candidates(const config::Config& before, const config::Config& now) {
  std::unordered_map<std::string_view, const config::Name*> known;
  for (const config::Name& name : before.names) known.emplace(name.host, &name);
  MovedCandidates moved;
  for (const config::Name& name : now.names) {
    const auto found = known.find(name.host);
    if (found == known.end()) continue;
    for (const config::Candidate& candidate : name.candidates) {
      const auto& old = found->second->candidates;
      const auto same =
          std::find_if(old.begin(), old.end(), [&](const config::Candidate& c) { return c.title == candidate.title; });
      if (same != old.end() && asks_elsewhere(*same->check, *candidate.check))
        moved.emplace(name.host, candidate.title);
    }
  }
  return moved;
}

void forget_moved(const MovedCandidates& moved, std::vector<health::StoredEndpoint>& rows) {
  if (moved.empty()) return;
  for (health::StoredEndpoint& row : rows) {
    if (moved.contains({row.name, row.candidate})) row.age = Duration::max();
  }
}

}  // namespace har::app
