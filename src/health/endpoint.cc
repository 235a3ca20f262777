#include "health/endpoint.h"

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

}  // namespace

void find_same_addresses(std::vector<Endpoint>& endpoints) {
  std::unordered_map<IpAddress, std::uint32_t> first;
  for (std::uint32_t i = 0; i < endpoints.size(); ++i) {
    endpoints[i].same_as = first.try_emplace(endpoints[i].address, i).first->second;
  }
}

void to_contenders(const NameState& name, Instant now, std::vector<Contender>& out) {
  out.clear();
  for (const Endpoint& endpoint : name.endpoints) {
    const config::Candidate& candidate = name.config->candidates[endpoint.candidate];
    const Hysteresis& hysteresis = endpoint.check->hysteresis(name.config->thresholds);
    const RttAverage& rtt =
        name.config->rtt_mode == config::RttMode::kConnect ? endpoint.check->connect : endpoint.check->total;
    Contender& c = out.emplace_back();
    c.address = endpoint.address;
    c.candidate = endpoint.candidate;
    c.same_as = endpoint.same_as;
    c.tier = candidate.tier;
    c.weight = candidate.weight;
    c.state = hysteresis.state();
    c.drained = name.candidates[endpoint.candidate].drained;
    c.rtt = rtt.value();
    c.measurements = rtt.measurements();
    c.candidate_hash = name.candidates[endpoint.candidate].hash;
    c.address_hash = endpoint.address_hash;
    c.last_up = hysteresis.state() == State::kUp ? std::optional(now) : hysteresis.left_up_at();
    c.last_success = endpoint.check->last_success;
    c.memory = endpoint.memory;
  }
}

std::uint64_t rendezvous(std::string_view seed, std::string_view name, std::string_view what) {
  std::uint64_t h = fnv1a(fnv1a(fnv1a(0xCBF29CE484222325ULL, seed), name), what);
  // splitmix64's finalizer: FNV alone leaves the upper bits of near texts too much alike for a comparison.
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9ULL;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EBULL;
  return h ^ (h >> 31);
}

bool depends_on_rtt(const config::Name& name) {
  using config::SelectionMethod;
  if (name.max_rtt || name.selection_method == SelectionMethod::kBestRtt) return true;
  return name.selection_method == SelectionMethod::kGroupRttRr;
}

}  // namespace har::health
