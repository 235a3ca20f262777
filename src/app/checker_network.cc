// What becomes of the host's own network, as the checker follows it: whether it is lost (health/isolation.h), and the
// fresh round of everything when it is back or another.
#include <fmt/format.h>

#include <algorithm>

#include "app/checker.h"
#include "net/clock.h"

namespace har::app {
namespace {

constexpr std::size_t kWays = 1024;  // each costs two system calls

}  // namespace

void Checker::watch_network() {
  resolver_->heard() = [this](const IpAddress& upstream, Instant asked) {
    directory_->upstream_heard(upstream, asked, net::now());
    apply_changes();
  };
  network_.emplace(loop_, log_, [this](const NetworkChange& change) { on_network(change); });
  look_at_ways();
}

void Checker::on_network(const NetworkChange& change) {
  const bool was_lost = directory_->isolation().is_lost();
  look_at_ways();
  const bool is_ours = ways_.take_concern(change);
  // While it is lost nobody would answer; when it is back, everything has just been asked.
  if (was_lost || directory_->isolation().is_lost()) return;
  if (is_ours) return fresh_round_of(change.what.empty() ? "routes" : change.what);
  if (change.what.empty()) return;
  if (has_unseen_ways_) return fresh_round_of(change.what);
  // Nothing that we know has become less true by it, but what is asked now is surely asked of the new network.
  if (!rounds_elsewhere_.take(net::now())) return;
  log_.info("network_changed", {{"what", change.what}, {"ways", "kept"}});
  prober_->check_all_now();
}

void Checker::look_at_ways() {
  const auto interfaces = interface_addresses();
  if (!interfaces) {  // as it was; from the beginning on, where nothing may be asked
    if (!directory_->isolation().in_use()) directory_->set_routes(true, {}, net::now());
    return apply_changes();
  }
  std::vector<IpAddress> own;
  for (const InterfaceAddress& has : *interfaces) {
    if (has.ip && !has.ip->is_loopback()) own.push_back(*has.ip);
  }
  const auto endpoints = directory_->endpoint_addresses(kWays);
  has_unseen_ways_ = !endpoints.has_all_networks;
  std::vector<IpPort> targets;
  for (const IpAddress& ip : endpoints.list) targets.push_back({ip, 0, 0});
  const bool can_freeze = std::any_of(targets.begin(), targets.end(), [&](const IpPort& target) {
    return std::find(own.begin(), own.end(), target.ip) == own.end();
  });
  for (const IpPort& upstream : upstreams_) {
    if (!upstream.ip.is_loopback()) targets.push_back(upstream);
  }
  ways_.set(Ways::find(targets, *interfaces));
  // Without an endpoint elsewhere there is nothing that could freeze.
  directory_->set_routes(!can_freeze || ways_.is_usable(), std::move(own), net::now());
  apply_changes();
}

// After each of the directory's changes.
void Checker::follow_isolation() {
  const health::Isolation& isolation = directory_->isolation();
  if (isolation.is_lost() == network_lost_) return;
  network_lost_ = isolation.is_lost();
  memory_.writer->set_network_lost(network_lost_);
  if (network_lost_) {
    lost_at_ = isolation.lost_at();
    const bool silence = isolation.sign() == health::Isolation::Sign::kSilence;
    log_.warning("network_lost",
                 {{"reason", silence ? fmt::format("{} endpoints in {} networks are silent, nothing else is heard",
                                                   isolation.silent_endpoints(), isolation.silent_networks())
                                     : "no usable route"}});
    return;
  }
  log_.info("network_back", {{"seconds", fmt::format("{:.1f}", to_seconds(net::now() - lost_at_))}});
  ask_everything_anew();
}

void Checker::fresh_round_of(std::string_view what) {
  const Instant now = net::now();
  if (!rounds_.take(now)) {
    if (!fresh_round_.is_set()) fresh_round_.set(rounds_.next() - now);
    return;
  }
  log_.info("network_changed", {{"what", what}});
  directory_->network_changed(now);
  ask_everything_anew();
}

void Checker::ask_everything_anew() {
  memory_.writer->renew_upstreams();  // the answerer takes new sockets
  resolver_->begin_anew();
  prober_->check_all_now();
}

}  // namespace har::app
