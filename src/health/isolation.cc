#include "health/isolation.h"

#include <algorithm>

namespace har::health {
namespace {

template <class Key>
void remove_one(std::map<Key, std::size_t>& counts, const Key& key) {
  const auto at = counts.find(key);
  if (--at->second == 0) counts.erase(at);
}

}  // namespace

bool is_silent(const Observation& observation) {
  if (observation.connect > Duration::zero()) return false;  // there was a SYN-ACK
  switch (observation.outcome) {
    case Outcome::kOk:
    case Outcome::kResponseError:
      return false;
    case Outcome::kConnectError:
      return observation.reason != "refused" && observation.reason != "reset";
    case Outcome::kTimeout:
    case Outcome::kOtherError:  // "not permitted" and the like: our own machine's word
      return true;
  }
  return true;
}

IpPrefix network_of(const IpAddress& ip) {
  IpPrefix network{ip, static_cast<std::uint8_t>(ip.family == Family::kV4 ? 24 : 48)};
  std::fill(network.ip.bytes.begin() + network.length / 8, network.ip.bytes.end(), std::uint8_t{0});
  return network;
}

void Isolation::set_routes(bool usable, std::vector<IpAddress> own, Instant now) {
  in_use_ = true;
  own_ = std::move(own);
  std::sort(own_.begin(), own_.end());
  if (!usable && sign_ != Sign::kNoRoute) lose(Sign::kNoRoute, now);
  if (usable && sign_ == Sign::kNoRoute) leave(now);
}

bool Isolation::is_remote(const IpAddress& ip) const {
  return !ip.is_loopback() && !std::binary_search(own_.begin(), own_.end(), ip);
}

bool Isolation::silent(Check check, const Endpoint& endpoint, Instant started, std::size_t checked, Instant now) {
  if (started <= heard_) return false;
  if (is_lost() || started < begun_) return true;
  if (checks_.insert(check).second) {
    silent_.emplace(std::pair(started, check), endpoint);
    ++endpoints_[endpoint];
    ++networks_[network_of(endpoint.ip)];
  }
  judge(checked, now);
  return true;
}

bool Isolation::ask(Instant now) {
  if (asked_ != kNever) return false;
  asked_ = now;
  return true;
}

bool Isolation::judge(std::size_t checked, Instant now) {
  if (!is_lost() && asked_ <= now - kHearing && 2 * silent_.size() > checked && endpoints_.size() >= kLeastEndpoints &&
      networks_.size() >= kLeastNetworks) {
    lose(Sign::kSilence, now);
  }
  return is_lost();
}

std::vector<Isolation::Check> Isolation::heard(Instant started, Instant at, Instant now) {
  std::vector<Check> released;
  if (at <= heard_) return released;
  heard_ = at;
  asked_ = kNever;
  // Where no route was found, what was asked before that may still have been answered before.
  if (sign_ == Sign::kSilence || (sign_ == Sign::kNoRoute && started > no_route_at_)) leave(now);
  while (!silent_.empty() && silent_.begin()->first.first <= heard_) {
    const auto& [key, endpoint] = *silent_.begin();
    released.push_back(key.second);
    checks_.erase(key.second);
    remove_one(networks_, network_of(endpoint.ip));
    remove_one(endpoints_, endpoint);
    silent_.erase(silent_.begin());
  }
  return released;
}

void Isolation::begin_anew(Instant now) {
  begun_ = now;
  asked_ = kNever;
  silent_.clear();
  checks_.clear();
  endpoints_.clear();
  networks_.clear();
}

void Isolation::lose(Sign sign, Instant now) {
  if (!is_lost()) lost_at_ = now;
  if (sign == Sign::kNoRoute) no_route_at_ = now;
  sign_ = sign;
}

void Isolation::leave(Instant now) {
  sign_ = Sign::kNone;
  begin_anew(now);
}

}  // namespace har::health
