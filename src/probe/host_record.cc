#include "probe/host_record.h"

#include <algorithm>
#include <utility>

namespace har::probe {

namespace {

using std::chrono::seconds;

constexpr Duration kShortest = seconds(1);
constexpr Duration kLongestRetry = seconds(30);
constexpr Duration kBetweenNegatives = seconds(60);
constexpr int kMostFrequencies = 15;
// Families due within this time of each other are asked together.
constexpr Duration kTogether = seconds(1);

std::size_t index(Family family) { return family == Family::kV4 ? 0 : 1; }

// 1, 2, 4, 8, 16, 30, 30 … seconds.
Duration retry_after(std::uint8_t failures) {
  return failures > 5 ? kLongestRetry : std::min(kLongestRetry, kShortest * (1 << (std::max<int>(failures, 1) - 1)));
}

void count(std::uint8_t& counter) {
  if (counter < 255) ++counter;
}

}  // namespace

HostRecord::HostRecord(Duration frequency, Instant now) : frequency_(frequency) {
  for (Side& side : sides_) side.next = now;
}

void HostRecord::set_frequency(Duration frequency, Instant now, double random) {
  frequency_ = frequency;
  for (Side& side : sides_) side.next = std::min(side.next, now + until_next(Duration::max(), random));
}

void HostRecord::remember(const std::vector<IpAddress>& addresses) {
  for (Side& side : sides_) {
    if (side.known != Known::kNothing) return;
  }
  for (const IpAddress& address : addresses) sides_[index(address.family)].addresses.push_back(address);
}

Instant HostRecord::next_event() const {
  if (sides_[0].asking || sides_[1].asking) return company_until_;
  return std::min(sides_[0].next, sides_[1].next);
}

HostRecord::Due HostRecord::take_due(Instant now) {
  if (sides_[0].asking || sides_[1].asking || next_event() > now) return {};
  for (Side& side : sides_) {
    side.asking = side.next <= now + kTogether;
    side.answered = side.failed = false;
  }
  told_alone_ = false;
  return {.v4 = sides_[0].asking, .v6 = sides_[1].asking};
}

Duration HostRecord::until_next(Duration ttl, double random) const {
  const Duration longest = std::max<Duration>(kShortest, frequency_ * kMostFrequencies);
  const auto wait = std::clamp<Duration>(ttl, kShortest, longest);
  return std::max<Duration>(kShortest, from_seconds(to_seconds(wait) * (1 - 0.1 * random)));
}

HostNews HostRecord::ended(Family family, const DnsEnding& ending, Instant now, double random) {
  Side& side = sides_[index(family)];
  side.asking = false;
  using Status = dns::Addresses::Status;
  if (ending.kind != DnsEnding::Kind::kAnswer || ending.answer.status == Status::kFailed) {
    side.failed = true;
    side.silent = ending.kind == DnsEnding::Kind::kSilent;
    side.why = side.silent ? "no answer" : ending.kind == DnsEnding::Kind::kAnswer ? "malformed answer" : ending.why;
    count(side.failures);
    side.next = now + retry_after(side.failures);
  } else {
    side.answered = true;
    side.failures = 0;
    side.next = now + until_next(seconds(ending.answer.ttl), random);
    side.known = ending.answer.status == Status::kFound    ? Known::kGood
                 : ending.answer.status == Status::kNoData ? Known::kNoData
                                                           : Known::kNxDomain;
    if (side.known == Known::kGood) side.first_negative = std::nullopt;
    if (is_negative(side) && !side.first_negative) side.first_negative = now;
    side.is_gone = side.first_negative && now - *side.first_negative >= kBetweenNegatives;
    side.fresh = ending.answer.addresses;
    // The order in a reply changes from one to the next and means nothing.
    std::sort(side.fresh.begin(), side.fresh.end());
  }
  const Side& other = sides_[1 - index(family)];
  if (other.asking) {
    if (side.answered && side.known == Known::kGood) company_until_ = now + kCompany;
    return {};
  }
  return judge(now);
}

HostNews HostRecord::look(Instant now) {
  if (now < company_until_) return {};
  company_until_ = kNever;
  told_alone_ = true;
  return tell();
}

// The round is over: each family that was asked has ended.
HostNews HostRecord::judge(Instant now) {
  company_until_ = kNever;
  Side& a = sides_[0];
  Side& b = sides_[1];
  const auto good = [](const Side& side) { return side.known == Known::kGood && side.failures == 0; };
  const bool news = (a.answered || b.answered) && (good(a) || good(b));
  if (news) {
    negatives_ = 0;
    const bool one_failed = a.failed || b.failed;
    // Those without addresses are asked again with those that have some: their own TTL, often none at all, is no reason
    // to ask every second.
    if (a.answered && is_negative(a)) a.next = b.next;
    if (b.answered && is_negative(b)) b.next = a.next;
    for (Side* side : {&a, &b}) ask_in_time(*side);
    if (told_alone_ && one_failed) return {};  // nothing has changed since
    return tell();
  }
  if (is_negative(a) && is_negative(b) && (a.answered || b.answered)) {
    const bool both_now = a.failures == 0 && b.failures == 0;
    if (both_now) {
      count(negatives_);
      // A negative answer without a TTL of its own (no SOA) is asked again as a failure would be.
      for (Side* side : {&a, &b}) {
        if (side->next - now <= kShortest) side->next = now + retry_after(negatives_);
        if (!side->is_gone) side->next = std::min(side->next, *side->first_negative + kBetweenNegatives);
      }
      const auto is_lost = [](const Side& side) { return side.is_gone && !side.addresses.empty(); };
      if (is_lost(a) || is_lost(b) || (a.is_gone && b.is_gone && !withdrawn_)) return tell();
    }
    for (Side* side : {&a, &b}) ask_in_time(*side);
    const bool nx = a.known == Known::kNxDomain || b.known == Known::kNxDomain;
    return failed(nx ? "NXDOMAIN" : "no addresses", false);
  }
  if (a.answered) a.next = std::max(a.next, b.next);  // negative, and alone it decides nothing
  if (b.answered) b.next = std::max(b.next, a.next);
  for (Side* side : {&a, &b}) ask_in_time(*side);
  // Where the negative one was asked alone, it is the other that is still wanting.
  const Side& culprit = a.failed || (!b.failed && a.failures > 0) ? a : b;
  return failed(culprit.why, a.failed && b.failed ? a.silent && b.silent : culprit.silent);
}

// For the answer that withdraws.
void HostRecord::ask_in_time(Side& side) const {
  if (side.addresses.empty() || !side.first_negative || side.is_gone || side.failures > 0) return;
  side.next = std::min(side.next, *side.first_negative + kBetweenNegatives);
}

HostNews HostRecord::tell() {
  for (Side& side : sides_) {
    if (side.asking || side.failed) continue;  // keeps what it has
    if (side.is_gone) side.addresses = {};
    if (!side.fresh.empty()) side.addresses = std::exchange(side.fresh, {});
  }
  // Too many: each family gets its half, and what the other leaves.
  const std::size_t half = kMostAddresses / 2;
  const std::size_t v6 = sides_[1].addresses.size();
  const std::size_t v4 = std::min(sides_[0].addresses.size(), kMostAddresses - std::min(v6, half));
  HostNews news{.what = HostNews::What::kAddresses};
  news.addresses.assign(sides_[0].addresses.begin(), sides_[0].addresses.begin() + static_cast<std::ptrdiff_t>(v4));
  for (const IpAddress& address : sides_[1].addresses) {
    if (news.addresses.size() == kMostAddresses) break;
    news.addresses.push_back(address);
  }
  withdrawn_ = news.addresses.empty();
  return news;
}

HostNews HostRecord::failed(std::string_view why, bool silent) const {
  return {.what = HostNews::What::kFailed, .addresses = {}, .why = why, .silent = silent};
}

void HostRecord::ask_again_if_failed(Instant now) {
  for (Side& side : sides_) {
    if (!side.asking && (side.failures > 0 || negatives_ > 0)) side.next = std::min(side.next, now);
  }
}

void HostRecord::ask_again(Instant now) {
  for (Side& side : sides_) {
    if (!side.asking) side.next = std::min(side.next, now);
  }
}

}  // namespace har::probe
