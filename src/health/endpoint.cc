#include "health/endpoint.h"

#include <algorithm>
#include <unordered_map>

namespace har::health {
namespace {

std::uint64_t fnv1a(std::uint64_t h, std::string_view text) {
  for (const char c : text) {
    h ^= static_cast<unsigned char>(c);
    h *= 0x100000001B3ULL;
  }
  return (h ^ 0xFF) * 0x100000001B3ULL;  // an end mark: "a","bc" is not "ab","c"
}

// Rendezvous hashing: a value for `what` on the host of `seed`, even in all its bits.
std::uint64_t rendezvous(std::string_view seed, std::string_view name, std::string_view what) {
  std::uint64_t h = fnv1a(fnv1a(fnv1a(0xCBF29CE484222325ULL, seed), name), what);
  // splitmix64's finalizer: FNV alone leaves the upper bits of near texts too much alike for a comparison.
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9ULL;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EBULL;
  return h ^ (h >> 31);
}

std::string_view bytes_of(const IpAddress& address) {
  return {reinterpret_cast<const char*>(address.bytes.data()), address.size()};
}

}  // namespace

bool NameState::is_drained(std::uint32_t candidate) const {
  return std::find(drained.begin(), drained.end(), candidate) != drained.end();
}

void NameState::set_drained(std::uint32_t candidate, bool is_drained) {
  std::erase(drained, candidate);
  if (is_drained) drained.push_back(candidate);
}

void find_same_addresses(std::vector<Endpoint>& endpoints) {
  std::unordered_map<IpAddress, std::uint32_t> first;
  for (std::uint32_t i = 0; i < endpoints.size(); ++i) {
    endpoints[i].same_as = first.try_emplace(endpoints[i].address(), i).first->second;
  }
}

void to_contenders(const NameState& name, std::string_view host_seed, Instant now, std::vector<Contender>& out) {
  out.clear();
  const bool by_hash = name.config->selection_method == config::SelectionMethod::kHash;
  for (const Endpoint& endpoint : name.endpoints) {
    const config::Candidate& candidate = name.config->candidates[endpoint.candidate];
    const Hysteresis& hysteresis = endpoint.check->hysteresis(name.config->thresholds);
    const RttAverage& rtt =
        name.config->rtt_mode == config::RttMode::kConnect ? endpoint.check->connect : endpoint.check->total;
    Contender& c = out.emplace_back();
    c.address = endpoint.address();
    c.candidate = endpoint.candidate;
    c.same_as = endpoint.same_as;
    c.tier = candidate.tier;
    c.weight = candidate.weight;
    c.state = hysteresis.state();
    c.drained = name.is_drained(endpoint.candidate);
    c.rtt = rtt.value();
    c.measurements = rtt.measurements();
    if (by_hash) {
      c.candidate_hash = rendezvous(host_seed, name.config->host, candidate.title);
      c.address_hash = rendezvous(host_seed, name.config->host, bytes_of(c.address));
    }
    c.last_up = hysteresis.state() == State::kUp ? std::optional(now) : hysteresis.left_up_at();
    c.last_success = endpoint.check->last_success;
    c.memory = endpoint.memory;
  }
}

bool depends_on_rtt(const config::Name& name) {
  using config::SelectionMethod;
  if (name.max_rtt || name.selection_method == SelectionMethod::kBestRtt) return true;
  return name.selection_method == SelectionMethod::kGroupRttRr;
}

}  // namespace har::health
