#include "health/ranking.h"

#include <algorithm>

#include "health/rtt.h"
#include "table/content.h"

namespace har::health {
namespace {

bool known(const Contender& c) { return c.rtt > Duration::zero(); }

// A measured RTT is better than none.
bool faster(const Contender& a, const Contender& b) {
  if (known(a) != known(b)) return known(a);
  return a.rtt < b.rtt;
}

bool ranks_by_rtt(config::SelectionMethod method) {
  return method == config::SelectionMethod::kBestRtt || method == config::SelectionMethod::kGroupRttRr;
}

}  // namespace

void Ranker::rank(const config::Name& name, std::span<const Contender> contenders, Instant now, Ranking& out) {
  name_ = &name;
  contenders_ = contenders;
  now_ = now;
  out.v4.places.clear();
  out.v6.places.clear();
  for (FamilyRanking* family : {&out.v4, &out.v6}) family->group = family->equals = 0;
  out.left_out.clear();
  out.memory.assign(contenders.size(), Memory{});
  out.next_change = kNever;
  out.tier = 0;

  find_usable(out);
  if (order_.empty()) {
    out.basis = contenders.empty() ? Ranking::Basis::kNoAddress : Ranking::Basis::kFailure;
    fail(out);
    return;
  }
  // Unobserved endpoints have earned no place to keep: a stored RTT or the order of the file decides.
  remember_ = out.basis == Ranking::Basis::kUp;
  order_by_method();
  choose_tiers(out);
  arrange(out.v4, out);
  arrange(out.v6, out);
  if (ranks_by_rtt(name.selection_method)) {
    for (std::size_t i = 0; i < order_.size(); ++i) out.memory[order_[i]].place = static_cast<std::uint32_t>(i);
  }
}

// Fills order_ with the usable endpoints, in the order of the file; the rest goes to left_out.
void Ranker::find_usable(Ranking& out) {
  // The operator drains a machine, so its address: it is not answered even where another candidate has it too.
  barred_.assign(contenders_.size(), 0);
  bool some_drained = false;
  for (const Contender& c : contenders_) {
    if (c.drained) barred_[c.same_as] = some_drained = true;
  }
  if (some_drained) {
    for (std::size_t i = 0; i < contenders_.size(); ++i) barred_[i] = barred_[contenders_[i].same_as];
  }

  bool any_up = false;
  bool any_fast = false;
  for (std::size_t i = 0; i < contenders_.size(); ++i) {
    const Contender& c = contenders_[i];
    if (barred_[i] || c.state != State::kUp) continue;
    any_up = true;
    if (!name_->max_rtt || c.rtt <= *name_->max_rtt) any_fast = true;
  }
  out.any_up = any_up;
  out.basis = any_up ? Ranking::Basis::kUp : Ranking::Basis::kUnknown;

  order_.clear();
  for (std::uint32_t i = 0; i < contenders_.size(); ++i) {
    const Contender& c = contenders_[i];
    if (barred_[i]) {
      out.left_out.push_back({i, Why::kDrained});
    } else if (c.state == State::kDown) {
      out.left_out.push_back({i, Why::kDown});
    } else if (c.state == State::kUnknown && any_up) {
      // SEMANTICS says "while nothing in the same tier is up"; here it is nothing of the whole name, so that a new
      // candidate of a nearer tier (after a reload, say) is probed before it can displace a healthy one of a farther.
      out.left_out.push_back({i, Why::kWaitsForObservation});
    } else if (any_fast && name_->max_rtt && c.rtt > *name_->max_rtt) {
      out.left_out.push_back({i, Why::kSlow});
    } else {
      order_.push_back(i);
    }
  }
}

// Sorts order_ by tier and, inside a tier, by the method: both families together, so that what fills up a tier is the
// best of the next whatever its family. Then drops what has the address of one before it.
void Ranker::order_by_method() {
  using config::SelectionMethod;
  const auto less = [this](std::uint32_t i, std::uint32_t j) {
    const Contender& a = contenders_[i];
    const Contender& b = contenders_[j];
    if (a.tier != b.tier) return a.tier < b.tier;
    if (name_->selection_method == SelectionMethod::kWeighted && a.weight != b.weight) return a.weight > b.weight;
    if (name_->selection_method == SelectionMethod::kHash) {
      if (a.candidate_hash != b.candidate_hash) return a.candidate_hash > b.candidate_hash;
      if (a.address_hash != b.address_hash) return a.address_hash > b.address_hash;
    }
    return i < j;
  };
  if (!std::is_sorted(order_.begin(), order_.end(), less)) std::sort(order_.begin(), order_.end(), less);

  if (!ranks_by_rtt(name_->selection_method)) return;
  for (std::size_t begin = 0; begin < order_.size();) {
    std::size_t end = begin + 1;
    while (end < order_.size() && contenders_[order_[end]].tier == contenders_[order_[begin]].tier) ++end;
    order_by_rtt(std::span(order_).subspan(begin, end - begin));
    begin = end;
  }
}

// Smallest RTT first, but an endpoint keeps its place from the last time against one that is not better by the margins:
// neighbours whose averages tremble past each other would otherwise rewrite the answer with every probe. Without dwell:
// that is for the first place, see keep_or_switch().
void Ranker::order_by_rtt(std::span<std::uint32_t> tier) {
  if (tier.size() < 2) return;
  by_rtt_.assign(tier.begin(), tier.end());
  std::sort(by_rtt_.begin(), by_rtt_.end(), [this](std::uint32_t i, std::uint32_t j) {
    if (faster(contenders_[i], contenders_[j])) return true;
    return !faster(contenders_[j], contenders_[i]) && i < j;
  });
  if (!remember_) {
    std::copy(by_rtt_.begin(), by_rtt_.end(), tier.begin());
    return;
  }
  by_place_ = by_rtt_;
  std::sort(by_place_.begin(), by_place_.end(), [this](std::uint32_t i, std::uint32_t j) {
    const Contender& a = contenders_[i];
    const Contender& b = contenders_[j];
    if (a.memory.place != b.memory.place) return a.memory.place < b.memory.place;
    if (faster(a, b)) return true;
    return !faster(b, a) && i < j;
  });
  taken_.assign(contenders_.size(), 0);
  std::size_t held = 0;
  std::size_t fast = 0;
  for (std::uint32_t& place : tier) {
    while (taken_[by_place_[held]]) ++held;
    while (taken_[by_rtt_[fast]]) ++fast;
    const std::uint32_t holder = by_place_[held];
    const std::uint32_t challenger = by_rtt_[fast];
    place = displaces(contenders_[challenger], contenders_[holder]) ? challenger : holder;
    taken_[place] = 1;
  }
}

bool Ranker::bound(const Contender& a, const Contender& b) const {
  return a.measurements >= kEnoughMeasurements && b.measurements >= kEnoughMeasurements && known(a) && known(b);
}

bool Ranker::better_by_margin(const Contender& challenger, const Contender& holder) const {
  const Duration gain = holder.rtt - challenger.rtt;
  return gain > Duration::zero() && gain >= name_->switch_margin_min &&
         static_cast<double>(gain.count()) >= name_->switch_margin * static_cast<double>(holder.rtt.count());
}

bool Ranker::displaces(const Contender& challenger, const Contender& holder) const {
  return bound(challenger, holder) ? better_by_margin(challenger, holder) : faster(challenger, holder);
}

// The nearest tier with a usable endpoint is in use whole; where it has fewer than min_available, farther tiers add
// what is short, their best first.
void Ranker::choose_tiers(Ranking& out) {
  taken_.assign(contenders_.size(), 0);
  out.tier = contenders_[order_.front()].tier;
  std::uint32_t used = 0;
  for (const std::uint32_t i : order_) {
    const Contender& c = contenders_[i];
    if (taken_[c.same_as]) {
      out.left_out.push_back({i, Why::kSameAddress});
      continue;
    }
    taken_[c.same_as] = 1;
    if (c.tier == out.tier) {
      out.family(c.address.family).places.push_back({i, Why::kRtt});
    } else if (used < name_->min_available) {
      out.family(c.address.family).places.push_back({i, Why::kFillsUp});
    } else {
      out.left_out.push_back({i, Why::kFartherTier});
      continue;
    }
    ++used;
  }
}

// Gives one family's places their last order and their reasons.
void Ranker::arrange(FamilyRanking& family, Ranking& out) {
  using config::SelectionMethod;
  std::vector<Place>& places = family.places;
  if (places.empty()) return;
  // Equals are those of the family's nearest tier: what fills up stands behind them.
  std::size_t run = 1;
  while (run < places.size() && contenders_[places[run].index].tier == contenders_[places[0].index].tier) ++run;
  const auto mark = [&places, run](Why why) {
    for (std::size_t i = 0; i < run; ++i) {
      if (places[i].why != Why::kFillsUp) places[i].why = why;
    }
  };

  switch (name_->selection_method) {
    case SelectionMethod::kBestRtt: {
      const std::uint32_t first = keep_or_switch(std::span(places).first(run), out);
      bool smallest = true;
      for (std::size_t i = 0; i < run; ++i) {
        if (faster(contenders_[places[i].index], contenders_[places[first].index])) smallest = false;
      }
      std::rotate(places.begin(), places.begin() + first, places.begin() + first + 1);
      if (places[0].why != Why::kFillsUp) places[0].why = smallest ? Why::kSmallestRtt : Why::kKeepsPlace;
      break;
    }
    case SelectionMethod::kGroupRttRr:
      take_shifts(family, group_by_rtt(family, run), out);
      break;
    case SelectionMethod::kFailover:
      mark(Why::kFileOrder);
      break;
    case SelectionMethod::kHash:
      mark(Why::kHash);
      break;
    case SelectionMethod::kRandom:
    case SelectionMethod::kWeighted:
      mark(Why::kEqual);
      take_shifts(family, run, out);
      break;
  }
  out.memory[places[0].index].chosen = true;
}

// Which of `run` stands first: the chosen one keeps its place until another has been better by switch_margin and
// switch_margin_min for switch_dwell. Of several that have been, the fastest. One that is even faster but has not been
// so for the whole dwell waits for its own: a single lucky measurement must not take the place.
std::uint32_t Ranker::keep_or_switch(std::span<const Place> run, Ranking& out) {
  const auto contender = [&](std::uint32_t i) -> const Contender& { return contenders_[run[i].index]; };
  const auto size = static_cast<std::uint32_t>(run.size());
  std::uint32_t chosen = size;
  for (std::uint32_t i = 0; remember_ && i < size && chosen == size; ++i) {
    if (contender(i).memory.chosen) chosen = i;
  }
  if (chosen == size) {  // nobody's place to keep: the smallest RTT, margins or not
    chosen = 0;
    for (std::uint32_t i = 1; i < size; ++i) {
      if (faster(contender(i), contender(chosen))) chosen = i;
    }
    // From here on as after a switch: dwell starts afresh, and nothing is faster.
    return chosen;
  }

  bool switched = true;
  for (bool first_look = true; switched; first_look = false) {  // each switch is to a faster one: it ends
    switched = false;
    std::uint32_t best = size;
    for (std::uint32_t i = 0; i < size; ++i) {
      if (i == chosen) continue;
      Memory& memory = out.memory[run[i].index];
      memory.better_since = kNever;
      if (!displaces(contender(i), contender(chosen))) continue;
      if (bound(contender(i), contender(chosen))) {
        // What was better than the one before is not yet better than the new one.
        const Instant since = first_look ? contender(i).memory.better_since : kNever;
        memory.better_since = since == kNever ? now_ : since;
        if (now_ - memory.better_since < name_->switch_dwell) continue;
      }
      if (best == size || faster(contender(i), contender(best))) best = i;
    }
    if (best != size) {
      chosen = best;
      switched = true;
    }
  }
  out.memory[run[chosen].index].better_since = kNever;
  for (const Place& place : run) {
    const Instant since = out.memory[place.index].better_since;
    if (since != kNever) out.next_change = std::min(out.next_change, since + name_->switch_dwell);
  }
  return chosen;
}

// Those of the run within group_rtt_threshold of its best take turns. The best is that of the family: a client of one
// family has only these to choose from, and measured against a faster family they would never take turns at all. How
// many they are.
std::size_t Ranker::group_by_rtt(FamilyRanking& family, std::size_t run) {
  std::vector<Place>& places = family.places;
  const Contender* best = &contenders_[places[0].index];
  for (std::size_t i = 1; i < run; ++i) {
    if (faster(contenders_[places[i].index], *best)) best = &contenders_[places[i].index];
  }
  const auto in_group = [&](const Place& place) {
    const Contender& c = contenders_[place.index];
    if (!name_->group_rtt_threshold || !known(*best)) return true;
    return known(c) && c.rtt - best->rtt <= *name_->group_rtt_threshold;
  };
  const auto begin = places.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(run);
  // std::stable_partition asks for a buffer: only where something is to be moved.
  const auto behind = std::all_of(begin, end, in_group) ? end : std::stable_partition(begin, end, in_group);
  const auto group = static_cast<std::size_t>(behind - begin);
  // Equals stand in the order of the file, so that turns do not stumble when RTTs change.
  std::sort(begin, begin + static_cast<std::ptrdiff_t>(group),
            [](const Place& a, const Place& b) { return a.index < b.index; });
  for (std::size_t i = 0; i < run; ++i) {
    if (places[i].why != Why::kFillsUp) places[i].why = i < group ? Why::kEqual : Why::kBehindGroup;
  }
  return group;
}

// A candidate's weight is shared by its addresses (content.cc), so it counts once in a shift.
double Ranker::load_of(std::span<const Place> shift) const {
  if (name_->selection_method != config::SelectionMethod::kWeighted) return static_cast<double>(shift.size());
  double load = 0;
  for (std::size_t i = 0; i < shift.size(); ++i) {
    const Contender& c = contenders_[shift[i].index];
    const auto is_of_same = [&](const Place& place) { return contenders_[place.index].candidate == c.candidate; };
    if (std::none_of(shift.begin(), shift.begin() + static_cast<std::ptrdiff_t>(i), is_of_same)) load += c.weight;
  }
  return load;
}

// The first `equals` places are equals. Of more than a slot holds those whose shift it is come first. Each shift lasts
// as long as its weights are of all: so every endpoint has its part, whatever shift it is in.
void Ranker::take_shifts(FamilyRanking& family, std::size_t equals, Ranking& out) {
  family.equals = static_cast<std::uint32_t>(equals);
  family.group = static_cast<std::uint32_t>(std::min(equals, table::kMaxAddresses));
  if (equals <= table::kMaxAddresses) return;
  const std::size_t shifts = (equals + table::kMaxAddresses - 1) / table::kMaxAddresses;
  const auto begin_of = [&](std::size_t shift) { return shift * equals / shifts; };
  const auto places_of = [&](std::size_t shift) {
    return std::span(family.places).subspan(begin_of(shift), begin_of(shift + 1) - begin_of(shift));
  };
  double all = 0;
  for (std::size_t i = 0; i < shifts; ++i) all += load_of(places_of(i));
  const Duration period = static_cast<Duration::rep>(shifts) * shift_;
  const Duration at = now_.time_since_epoch() % period;
  double done = 0;
  std::size_t shift = 0, last = 0;
  Duration end{};
  for (; shift < shifts; ++shift) {
    const double load = all > 0 ? load_of(places_of(shift)) / all : 1.0 / static_cast<double>(shifts);
    if (load == 0) continue;
    last = shift;
    done += load;
    end = Duration(static_cast<Duration::rep>(static_cast<double>(period.count()) * done));
    if (at < end) break;
  }
  if (shift == shifts) {  // what is left by rounding
    shift = last;
    end = period;
  }
  out.next_change = std::min(out.next_change, now_ + (end - at));
  const auto places = family.places.begin();
  const auto begin = places + static_cast<std::ptrdiff_t>(begin_of(shift));
  const auto behind = places + static_cast<std::ptrdiff_t>(begin_of(shift + 1));
  family.group = static_cast<std::uint32_t>(behind - begin);
  std::rotate(places, begin, behind);
}

// Nothing is usable. `all` and `last` answer endpoints nevertheless: never the drained.
void Ranker::fail(Ranking& out) {
  using config::FailureMode;
  if (name_->failure_mode != FailureMode::kAll && name_->failure_mode != FailureMode::kLast) return;
  order_.clear();
  for (std::uint32_t i = 0; i < contenders_.size(); ++i) {
    if (!barred_[i]) order_.push_back(i);
  }
  const bool last_only = name_->failure_mode == FailureMode::kLast;
  // std::optional compares absent as less than any value. Where none was ever up: the last to succeed, else the first.
  std::sort(order_.begin(), order_.end(), [&](std::uint32_t i, std::uint32_t j) {
    const Contender& a = contenders_[i];
    const Contender& b = contenders_[j];
    if (last_only && a.last_up != b.last_up) return a.last_up > b.last_up;
    if (a.last_success != b.last_success) return a.last_success > b.last_success;
    return i < j;
  });
  taken_.assign(contenders_.size(), 0);
  for (const std::uint32_t i : order_) {
    const Contender& c = contenders_[i];
    std::vector<Place>& places = out.family(c.address.family).places;
    if (taken_[c.same_as]) continue;
    taken_[c.same_as] = 1;
    if (last_only && !places.empty()) continue;
    places.push_back({i, last_only && c.last_up ? Why::kLastUp : Why::kLastSuccess});
  }
}

}  // namespace har::health
