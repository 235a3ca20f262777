// One name's endpoints: every address of every candidate, with the check that watches it; and the view of them that a
// ranking needs.
// Thread: the control thread.  Tested by: directory_test.cc
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "config/config.h"
#include "health/check_book.h"
#include "health/ranking.h"
#include "table/content.h"

namespace har::health {

struct Endpoint {
  std::uint32_t candidate = 0;  // index in the name's configuration
  IpAddress address;
  CheckEntry* check = nullptr;  // the book's; lives as long as this endpoint
  std::uint32_t same_as = 0;    // the first endpoint of the name with this address
  std::uint64_t address_hash = 0;
  Memory memory;  // of the last ranking
};

struct NameState {
  const config::Name* config = nullptr;
  struct Candidate {
    bool drained = false;
    std::uint64_t hash = 0;  // rendezvous value of this host, name and candidate
  };
  std::vector<Candidate> candidates;  // as in the configuration
  std::vector<Endpoint> endpoints;    // by candidate, then by address
  table::SlotContent content;
  std::string choice;    // the content in words, as the last event said it
  Instant due = kNever;  // when time alone changes the choice
  bool any_up = false;
  bool failing = false;  // the answer comes from the failure mode
  bool queued = false;   // to be ranked again
  bool changed = false;  // in the list of the next Changes
};

// Requires: endpoints sorted as above. Sets same_as.
void find_same_addresses(std::vector<Endpoint>& endpoints);

// What rank() takes; `out` is overwritten.
void to_contenders(const NameState& name, Instant now, std::vector<Contender>& out);

// Rendezvous hashing: a value for `what` on the host of `seed`, even in all its bits.
std::uint64_t rendezvous(std::string_view seed, std::string_view name, std::string_view what);

// Whether a change of an endpoint's RTT alone can change the name's answer.
bool depends_on_rtt(const config::Name& name);

}  // namespace har::health
