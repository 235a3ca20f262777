// What becomes of the host's own network, as the checker follows it: whether it is lost (health/isolation.h), and the
// fresh round of everything when it is back or another.
#include <fmt/format.h>

#include <algorithm>

#include "app/checker.h"
#include "net/clock.h"

namespace har::app {
namespace {

// Enough to tell whether all ways are gone; each costs a socket.
constexpr std::size_t kRouteTargets = 256;
// A host whose links or routes change all day (containers, a routing daemon) must not ask everybody all day.
constexpr std::uint32_t kFreshRounds = 10;
constexpr Duration kFreshRoundEvery = std::chrono::seconds(10);

}  // namespace

void Checker::watch_network() {
  resolver_->heard() = [this](const IpAddress& upstream, Instant asked) {
    directory_->upstream_heard(upstream, asked, net::now());
    apply_changes();
  };
  network_.emplace(loop_, log_, [this](std::string_view what) { on_network(what); });
  look_at_routes();
}

void Checker::on_network(std::string_view what) {
  const bool was_lost = directory_->isolation().is_lost();
  look_at_routes();
  // While it is lost nobody would answer; when it is back, everything has just been asked.
  if (was_lost || directory_->isolation().is_lost() || what.empty()) return;
  fresh_round_of(what);
}

void Checker::look_at_routes() {
  std::vector<IpPort> targets;
  for (const IpAddress& ip : directory_->remote_addresses(kRouteTargets)) targets.push_back({ip, 53, 0});
  auto own = NetworkWatch::own_addresses();
  if (!targets.empty()) {  // else there is nothing that could freeze
    for (const IpPort& upstream : upstreams_) {
      if (!upstream.ip.is_loopback() && std::find(own.begin(), own.end(), upstream.ip) == own.end()) {
        targets.push_back(upstream);
      }
    }
  }
  directory_->set_routes(NetworkWatch::has_way_to_any(targets), std::move(own), net::now());
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
  // Each round spends kFreshRoundEvery of what has been saved up since.
  rounds_spent_ = std::max(rounds_spent_, now - kFreshRounds * kFreshRoundEvery);
  if (rounds_spent_ + kFreshRoundEvery > now) {
    if (!fresh_round_.is_set()) fresh_round_.set(rounds_spent_ + kFreshRoundEvery - now);
    return;
  }
  rounds_spent_ += kFreshRoundEvery;
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
