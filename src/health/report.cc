// What Directory tells about its endpoints: for the store, and for whoever asks why.
#include <algorithm>

#include "health/directory.h"
#include "health/directory_impl.h"

namespace har::health {
namespace {

std::string status_of(const CheckEntry& check) {
  if (!check.last_outcome) return "";
  std::string text(word(*check.last_outcome));
  if (!check.last_reason.empty() && check.last_reason != text) text += " " + check.last_reason;
  return text;
}

void append_report(const NameState& name, std::vector<EndpointReport>& rows) {
  for (const Endpoint& endpoint : name.endpoints) {
    const CheckEntry& check = *endpoint.check;
    EndpointReport& row = rows.emplace_back();
    row.name = name.config->host;
    row.candidate = name.config->candidates[endpoint.candidate].title;
    row.address = endpoint.address();
    row.state = check.hysteresis(name.config->thresholds).state();
    row.drained = name.is_drained(endpoint.candidate);
    row.chosen = endpoint.memory.chosen;
    row.successes = check.successes;
    row.timeouts = check.timeouts;
    row.connect_errors = check.connect_errors;
    row.response_errors = check.response_errors;
    row.other_errors = check.other_errors;
    row.last_check = check.last_check;
    row.last_success = check.last_success;
    row.last_failure = check.last_failure;
    row.last_status = status_of(check);
    row.connect_time = check.connect.value();
    row.response_time = check.total.value();
  }
}

}  // namespace

std::vector<EndpointReport> Directory::report() const {
  std::vector<EndpointReport> rows;
  for (const NameState& name : impl_->names) append_report(name, rows);
  return rows;
}

std::vector<EndpointReport> Directory::report(std::uint32_t slot) const {
  std::vector<EndpointReport> rows;
  append_report(impl_->names[slot], rows);
  return rows;
}

std::vector<Standing> Directory::standings(std::uint32_t slot) const {
  const NameState& name = impl_->names.at(slot);
  // Ranked again: with the memory of the last ranking and at its moment the order is the same.
  std::vector<Contender> contenders;
  to_contenders(name, impl_->host_seed, impl_->last_now, contenders);
  Ranker ranker;
  ranker.set_shift(shift_length(impl_->taking_shifts));
  Ranking ranking;
  ranker.rank(*name.config, contenders, impl_->last_now, ranking);
  std::vector<Standing> standings;
  const auto append = [&](const Place& place, std::uint32_t number) {
    const Contender& c = contenders[place.index];
    standings.push_back({name.config->candidates[c.candidate].title, c.address, c.state, c.drained, c.tier, c.rtt,
                         number, std::string(word(place.why))});
  };
  for (const Family family : {Family::kV4, Family::kV6}) {
    std::uint32_t number = 0;
    for (const Place& place : ranking.family(family).places) append(place, ++number);
  }
  for (const Place& place : ranking.left_out) {
    // Nothing is usable, and the failure mode answers it all the same.
    const bool answered = std::any_of(standings.begin(), standings.end(), [&](const Standing& s) {
      return s.place > 0 && s.address == contenders[place.index].address &&
             s.candidate == name.config->candidates[contenders[place.index].candidate].title;
    });
    if (!answered) append(place, 0);
  }
  return standings;
}

std::vector<Directory::Use> Directory::uses(CheckId check) const {
  std::vector<Use> uses;
  const CheckEntry* entry = impl_->book.find(check);
  if (entry == nullptr) return uses;
  for (const CheckEntry::User& user : entry->users) {
    const NameState& name = impl_->names[user.slot];
    for (const Endpoint& endpoint : name.endpoints) {
      if (endpoint.check == entry) uses.push_back({user.slot, name.config->candidates[endpoint.candidate].title});
    }
  }
  return uses;
}

}  // namespace har::health
