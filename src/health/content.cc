#include "health/content.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "base/assert.h"

namespace har::health {
namespace {

using table::FamilyAnswer;
using table::Kind;
using table::kMaxAddresses;
using table::Order;

void append(FamilyAnswer& answer, const IpAddress& address) {
  HAR_ASSERT(answer.count < kMaxAddresses);
  answer.addresses[answer.count++] = address.bytes;
}

// A candidate's weight is shared by those of its addresses that stand in the group: a candidate with two addresses does
// not get twice its share. Scaled so that the shares stay whole numbers of 16 bits.
void set_weights(FamilyAnswer& answer, std::span<const Place> group, std::span<const Contender> contenders) {
  std::array<double, kMaxAddresses> share{};
  std::uint64_t multiple = 1;  // of the numbers of addresses; at most lcm(1..8) = 840
  double largest = 0;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const Contender& c = contenders[group[i].index];
    const auto same = std::count_if(group.begin(), group.end(), [&](const Place& place) {
      return contenders[place.index].candidate == c.candidate;
    });
    share[i] = static_cast<double>(c.weight) / static_cast<double>(same);
    multiple = std::lcm(multiple, static_cast<std::uint64_t>(same));
    largest = std::max(largest, share[i]);
  }
  if (largest == 0) {  // only candidates of weight 0 are left: they are equals
    for (std::size_t i = 0; i < group.size(); ++i) answer.weights[i] = 1;
    return;
  }
  double scale = static_cast<double>(multiple);
  if (largest * scale > 65'535) scale = 65'535 / largest;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const double weight = share[i] * scale;
    answer.weights[i] = weight == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(std::max(1.0, weight + 0.5));
    if (weight >= 65'535) answer.weights[i] = 65'535;
  }
}

Order order_of(config::SelectionMethod method) {
  using config::SelectionMethod;
  switch (method) {
    case SelectionMethod::kGroupRttRr:
      return Order::kInTurn;
    case SelectionMethod::kRandom:
      return Order::kRandom;
    case SelectionMethod::kWeighted:
      return Order::kWeighted;
    case SelectionMethod::kBestRtt:
    case SelectionMethod::kFailover:
    case SelectionMethod::kHash:
      return Order::kFirst;
  }
  HAR_ASSERT(false);
}

FamilyAnswer usable_answer(const config::Name& name, std::span<const Contender> contenders,
                           const FamilyRanking& ranking) {
  FamilyAnswer answer;
  if (ranking.places.empty()) {  // the other family has one: the client is to move there
    answer.kind = Kind::kNodata;
    return answer;
  }
  answer.kind = Kind::kAddresses;
  answer.order = order_of(name.selection_method);
  answer.answer_count = static_cast<std::uint8_t>(std::clamp<std::size_t>(name.answer_count, 1, kMaxAddresses));
  // No more than an answer can show: what nobody sees must not make the slot new.
  const std::size_t wanted = std::clamp<std::size_t>(answer.answer_count, ranking.group, kMaxAddresses);
  const std::size_t size = std::min(ranking.places.size(), wanted);
  for (std::size_t i = 0; i < size; ++i) append(answer, contenders[ranking.places[i].index].address);
  if (answer.order == Order::kFirst) return answer;
  HAR_ASSERT(ranking.group <= size);
  answer.group = static_cast<std::uint8_t>(ranking.group);
  if (answer.order == Order::kWeighted) {
    set_weights(answer, std::span(ranking.places).first(ranking.group), contenders);
  }
  return answer;
}

// `all` and `last`: the places. All of them go into one answer, whatever answer_count says: that is the mode's sense.
FamilyAnswer failed_answer(std::span<const Contender> contenders, const FamilyRanking& ranking) {
  FamilyAnswer answer;
  for (const Place& place : ranking.places) {
    if (answer.count == kMaxAddresses) break;
    append(answer, contenders[place.index].address);
  }
  return answer;
}

// All of them, too: the operator has written the answer out.
FamilyAnswer fixed_answer(const config::Name& name, std::span<const Contender> contenders, Family family) {
  FamilyAnswer answer;
  for (const IpAddress& address : name.fixed_addresses) {
    if (address.family != family || answer.count == kMaxAddresses) continue;
    const bool drained = std::any_of(contenders.begin(), contenders.end(),
                                     [&](const Contender& c) { return c.drained && c.address == address; });
    const auto last = answer.addresses.begin() + answer.count;
    if (!drained && std::find(answer.addresses.begin(), last, address.bytes) == last) append(answer, address);
  }
  return answer;
}

void finish_failed(FamilyAnswer& answer) {
  answer.kind = answer.count > 0 ? Kind::kAddresses : Kind::kNodata;
  answer.order = Order::kFirst;
  answer.answer_count = std::max<std::uint8_t>(answer.count, 1);
}

void fill_failed(const config::Name& name, std::span<const Contender> contenders, const Ranking& ranking,
                 table::SlotContent& content) {
  using config::FailureMode;
  const auto both = [&content](Kind kind) { content.v4.kind = content.v6.kind = kind; };
  switch (name.failure_mode) {
    case FailureMode::kForward:
      return both(Kind::kForward);
    case FailureMode::kNodata:
      return both(Kind::kNodata);
    case FailureMode::kServfail:
      return both(Kind::kServfail);
    case FailureMode::kAll:
    case FailureMode::kLast:
      content.v4 = failed_answer(contenders, ranking.v4);
      content.v6 = failed_answer(contenders, ranking.v6);
      break;
    case FailureMode::kFixed:
      content.v4 = fixed_answer(name, contenders, Family::kV4);
      content.v6 = fixed_answer(name, contenders, Family::kV6);
      break;
  }
  finish_failed(content.v4);
  finish_failed(content.v6);
}

std::string addresses_of(const FamilyAnswer& answer, Family family) {
  std::string text;
  const std::size_t shown = answer.order == Order::kFirst ? std::min(answer.count, answer.answer_count) : answer.count;
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) text += ',';
    text += IpAddress{family, answer.addresses[i]}.to_string();
  }
  return text.empty() ? "-" : text;
}

}  // namespace

table::SlotContent to_content(const config::Name& name, std::span<const Contender> contenders, const Ranking& ranking) {
  table::SlotContent content;
  content.ttl = name.ttl;
  switch (ranking.basis) {
    case Ranking::Basis::kUnknown:
      content.ttl = std::min(name.ttl, std::uint32_t{1});  // the first observations will soon say more
      [[fallthrough]];
    case Ranking::Basis::kUp:
      content.v4 = usable_answer(name, contenders, ranking.v4);
      content.v6 = usable_answer(name, contenders, ranking.v6);
      break;
    case Ranking::Basis::kFailure:
      content.ttl = std::min(name.ttl, std::uint32_t{1});
      content.note = table::Note::kFailureMode;
      fill_failed(name, contenders, ranking, content);
      break;
    case Ranking::Basis::kNoAddress:
      content.ttl = std::min(name.ttl, std::uint32_t{1});
      content.note = table::Note::kNotReady;
      content.v4.kind = content.v6.kind = Kind::kForwardNotReady;
      break;
  }
  return content;
}

std::string describe(const table::SlotContent& content) {
  const Kind kind = content.v4.kind == Kind::kAddresses ? content.v4.kind : content.v6.kind;
  switch (kind) {
    case Kind::kAddresses:
      return addresses_of(content.v4, Family::kV4) + " | " + addresses_of(content.v6, Family::kV6);
    case Kind::kNodata:
      return "nodata";
    case Kind::kForward:
      return "forward";
    case Kind::kForwardNotReady:
      return "not_ready";
    case Kind::kServfail:
      return "servfail";
  }
  HAR_ASSERT(false);
}

std::string reason(const config::Name& name, std::span<const Contender> contenders, const Ranking& ranking) {
  switch (ranking.basis) {
    case Ranking::Basis::kNoAddress:
      return "no address is known";
    case Ranking::Basis::kFailure:
      return fmt::format("failure_mode {}", word(name.failure_mode));
    case Ranking::Basis::kUp:
    case Ranking::Basis::kUnknown:
      break;
  }
  std::string text(word(name.selection_method));
  if (name.selection_method == config::SelectionMethod::kBestRtt) {
    std::string rtts;
    for (const FamilyRanking* family : {&ranking.v4, &ranking.v6}) {
      if (family->places.empty()) continue;
      const Duration rtt = contenders[family->places[0].index].rtt;
      if (rtt > Duration::zero()) rtts += (rtts.empty() ? "" : " | ") + to_text(rtt);
    }
    if (!rtts.empty()) text += " " + rtts;
  }
  if (ranking.basis == Ranking::Basis::kUnknown) text += ", not yet observed";
  const bool nearest = std::all_of(name.candidates.begin(), name.candidates.end(),
                                   [&](const config::Candidate& c) { return c.tier >= ranking.tier; });
  if (!nearest) text += fmt::format(", tier {}", ranking.tier);
  return text;
}

std::string to_text(Duration duration) {
  const double us = static_cast<double>(duration.count()) / 1e3;
  if (us < 1000) return fmt::format("{:.0f}us", us);
  return fmt::format("{:.1f}ms", us / 1e3);
}

}  // namespace har::health
