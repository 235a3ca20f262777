// An independent, naive reading of SEMANTICS' rules, compared with Ranker on every small case: all states, tiers, RTTs,
// families and drains of up to three endpoints, and many drawn ones of up to seven.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "health/ranking.h"
#include "health/rtt.h"

namespace har::health {
namespace {

using config::SelectionMethod;

bool up(const Contender& c) { return c.state == State::kUp; }

bool drained(const std::vector<Contender>& all, const Contender& c) {
  for (const Contender& other : all) {
    if (other.address == c.address && other.drained) return true;
  }
  return false;
}

std::vector<Contender> usable(const config::Name& name, const std::vector<Contender>& all) {
  bool one_up = false;
  bool one_fast = false;
  for (const Contender& c : all) {
    if (drained(all, c) || !up(c)) continue;
    one_up = true;
    if (!name.max_rtt || c.rtt <= *name.max_rtt) one_fast = true;
  }
  std::vector<Contender> out;
  for (const Contender& c : all) {
    if (drained(all, c) || c.state == State::kDown) continue;
    if (c.state == State::kUnknown && one_up) continue;
    if (up(c) && one_fast && name.max_rtt && c.rtt > *name.max_rtt) continue;
    out.push_back(c);
  }
  return out;
}

// Without memory: is `a` before `b`, by the method alone?
bool before(SelectionMethod method, const Contender& a, const Contender& b) {
  const auto rtt = [](const Contender& c) { return c.rtt == Duration::zero() ? Duration::max() : c.rtt; };
  if ((method == SelectionMethod::kBestRtt || method == SelectionMethod::kGroupRttRr) && rtt(a) != rtt(b)) {
    return rtt(a) < rtt(b);
  }
  if (method == SelectionMethod::kWeighted && a.weight != b.weight) return a.weight > b.weight;
  if (method == SelectionMethod::kHash && a.candidate_hash != b.candidate_hash) {
    return a.candidate_hash > b.candidate_hash;
  }
  return a.candidate < b.candidate;
}

struct Expected {
  std::map<Family, std::vector<std::uint32_t>> order;  // candidates
  std::map<Family, std::set<std::uint32_t>> equals;
};

Expected expect(const config::Name& name, const std::vector<Contender>& all) {
  const SelectionMethod method = name.selection_method;
  std::vector<Contender> left = usable(name, all);
  std::map<Family, std::vector<Contender>> in_use;
  std::set<IpAddress> seen;
  std::size_t used = 0;
  bool first_tier = true;
  while (!left.empty() && (first_tier || used < name.min_available)) {
    std::uint32_t tier = UINT32_MAX;
    for (const Contender& c : left) tier = std::min(tier, c.tier);
    std::vector<Contender> joins;
    std::vector<Contender> rest;
    for (const Contender& c : left) (c.tier == tier ? joins : rest).push_back(c);
    // Bubble sort: nothing shared with the code under test.
    for (std::size_t i = 0; i < joins.size(); ++i) {
      for (std::size_t j = 0; j + 1 < joins.size(); ++j) {
        if (before(method, joins[j + 1], joins[j])) std::swap(joins[j], joins[j + 1]);
      }
    }
    for (const Contender& c : joins) {
      if (!first_tier && used >= name.min_available) break;
      if (!seen.insert(c.address).second) continue;
      in_use[c.address.family].push_back(c);
      ++used;
    }
    left = rest;
    first_tier = false;
  }

  Expected expected;
  for (auto& [family, list] : in_use) {
    const std::uint32_t nearest = list.front().tier;
    std::vector<Contender> equals;
    std::vector<Contender> others;
    Duration best = Duration::max();
    for (const Contender& c : list) {
      if (c.tier == nearest && c.rtt > Duration::zero()) best = std::min(best, c.rtt);
    }
    for (const Contender& c : list) {
      bool equal = c.tier == nearest;
      if (method == SelectionMethod::kGroupRttRr && name.group_rtt_threshold && best != Duration::max()) {
        equal = equal && c.rtt > Duration::zero() && c.rtt <= best + *name.group_rtt_threshold;
      }
      if (method != SelectionMethod::kGroupRttRr && method != SelectionMethod::kRandom &&
          method != SelectionMethod::kWeighted) {
        equal = false;
      }
      (equal ? equals : others).push_back(c);
    }
    for (const Contender& c : equals) expected.equals[family].insert(c.candidate);
    for (const Contender& c : others) expected.order[family].push_back(c.candidate);
  }
  return expected;
}

void check(const config::Name& name, std::vector<Contender>& all, Ranker& ranker, Ranking& ranking) {
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    all[i].candidate = i;
    all[i].same_as = i;
    for (std::uint32_t j = 0; j < i; ++j) {
      if (all[j].address == all[i].address) all[i].same_as = std::min(all[i].same_as, j);
    }
  }
  ranker.rank(name, all, Instant{}, ranking);
  const Expected expected = expect(name, all);
  if (ranking.basis == Ranking::Basis::kFailure || ranking.basis == Ranking::Basis::kNoAddress) {
    ASSERT_TRUE(expected.order.empty() && expected.equals.empty());
    return;
  }
  std::size_t places = ranking.left_out.size();
  for (const Family family : {Family::kV4, Family::kV6}) {
    const FamilyRanking& got = ranking.family(family);
    places += got.places.size();
    std::set<std::uint32_t> equals;
    std::vector<std::uint32_t> order;
    for (std::size_t i = 0; i < got.places.size(); ++i) {
      if (i < got.group) {
        equals.insert(got.places[i].index);
      } else {
        order.push_back(got.places[i].index);
      }
    }
    const auto of = [family](const auto& map) {
      const auto it = map.find(family);
      return it == map.end() ? typename std::decay_t<decltype(map)>::mapped_type{} : it->second;
    };
    ASSERT_EQ(equals, of(expected.equals));
    ASSERT_EQ(order, of(expected.order));
  }
  ASSERT_EQ(places, all.size()) << "every endpoint has exactly one place";

  // Ranked again with its own memory at the same moment, nothing moves.
  const Ranking first = ranking;
  for (std::size_t i = 0; i < all.size(); ++i) all[i].memory = first.memory[i];
  ranker.rank(name, all, Instant{}, ranking);
  ASSERT_EQ(ranking.v4.places.size(), first.v4.places.size());
  for (std::size_t i = 0; i < first.v4.places.size(); ++i) {
    ASSERT_EQ(ranking.v4.places[i].index, first.v4.places[i].index);
  }
  for (Contender& c : all) c.memory = Memory{};
}

constexpr SelectionMethod kMethods[] = {SelectionMethod::kBestRtt,  SelectionMethod::kGroupRttRr,
                                        SelectionMethod::kFailover, SelectionMethod::kRandom,
                                        SelectionMethod::kWeighted, SelectionMethod::kHash};

// One endpoint out of `code`, which counts through every kind of endpoint.
constexpr unsigned kKinds = 3 * 2 * 2 * 2 * 3;
Contender make(unsigned code) {
  Contender c;
  c.state = static_cast<State>(code % 3);
  code /= 3;
  c.tier = code % 2;
  code /= 2;
  c.drained = code % 2 == 1;
  code /= 2;
  const bool v4 = code % 2 == 0;
  code /= 2;
  c.rtt = std::chrono::milliseconds(code % 3 * 10);
  c.measurements = c.rtt > Duration::zero() ? kEnoughMeasurements : 0;
  c.address = *IpAddress::parse(v4 ? "192.0.2.1" : "2001:db8::1");
  return c;
}

TEST(RankingOracle, AgreesOnEveryCaseOfThreeEndpoints) {
  Ranker ranker;
  Ranking ranking;
  config::Name name;
  std::vector<Contender> all(3);
  std::size_t cases = 0;
  for (const SelectionMethod method : kMethods) {
    name.selection_method = method;
    for (std::uint32_t least = 1; least <= 2; ++least) {
      name.min_available = least;
      for (unsigned i = 0; i < kKinds; ++i) {
        for (unsigned j = 0; j < kKinds; ++j) {
          for (unsigned k = 0; k < kKinds; ++k) {
            // Every case of the default; of the others a fifth.
            if ((i + j + k) % 5 != 0 && (method != SelectionMethod::kBestRtt || least != 1)) continue;
            all[0] = make(i);
            all[1] = make(j);
            all[2] = make(k);
            // One of three addresses apart, the other two may be equal: the address of several candidates.
            all[2].address.bytes[3] = 7;
            all[0].candidate_hash = 3;
            all[1].candidate_hash = 9;
            all[2].candidate_hash = 5;
            check(name, all, ranker, ranking);
            if (HasFatalFailure()) {
              FAIL() << "method " << static_cast<int>(method) << " least " << least << " kinds " << i << " " << j << " "
                     << k;
            }
            ++cases;
          }
        }
      }
    }
  }
  EXPECT_GT(cases, 1'000'000U);
}

TEST(RankingOracle, AgreesOnManyDrawnCases) {
  std::mt19937_64 dice(2011);
  const auto below = [&dice](unsigned n) { return static_cast<std::uint32_t>(dice() % n); };
  Ranker ranker;
  Ranking ranking;
  for (int round = 0; round < 50'000; ++round) {
    config::Name name;
    name.selection_method = kMethods[below(6)];
    name.min_available = 1 + below(4);
    if (below(2) == 0) name.max_rtt = std::chrono::milliseconds(below(30));
    if (below(2) == 0) name.group_rtt_threshold = std::chrono::milliseconds(below(20));
    std::vector<Contender> all(below(8));
    for (Contender& c : all) {
      c = make(below(kKinds));
      c.tier = below(4);
      c.drained = below(8) == 0;
      c.state = below(2) == 0 ? State::kUp : c.state;
      c.rtt = std::chrono::milliseconds(below(40));
      c.measurements = c.rtt > Duration::zero() ? below(7) : 0;
      c.address.bytes[3] = static_cast<std::uint8_t>(below(6));
      c.weight = below(3);
      c.candidate_hash = dice();
    }
    check(name, all, ranker, ranking);
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
}

}  // namespace
}  // namespace har::health
