// One name's endpoints: every address of every candidate, with the check that watches it; and the view of them that a
// ranking needs.
// Thread: the control thread.  Tested by: directory_test.cc
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "config/config.h"
#include "health/check_book.h"
#include "health/kept_content.h"
#include "health/ranking.h"

namespace har::health {

struct Endpoint {
  CheckEntry* check = nullptr;  // the book's; lives as long as this endpoint
  Memory memory;                // of the last ranking
  std::uint32_t candidate = 0;  // index in the name's configuration
  std::uint32_t same_as = 0;    // the first endpoint of the name with this address

  const IpAddress& address() const { return check->target.address; }
};

struct NameState {
  const config::Name* config = nullptr;
  std::vector<std::uint32_t> drained;  // candidates, by index; mostly none
  std::vector<Endpoint> endpoints;     // by candidate, then by address
  KeptContent content;                 // of a fresh slot at first
  std::uint64_t crew = 0;              // who takes shifts (ranking.h), as a digest; 0: nobody does
  Instant due = kNever;                // when time alone changes the choice
  bool any_up = false;
  bool failing = false;  // the answer comes from the failure mode
  bool queued = false;   // to be ranked again
  bool changed = false;  // in the list of the next Changes

  bool is_drained(std::uint32_t candidate) const;
  void set_drained(std::uint32_t candidate, bool is_drained);
};

// Requires: endpoints sorted as above. Sets same_as.
void find_same_addresses(std::vector<Endpoint>& endpoints);

// What rank() takes; `out` is overwritten. `host_seed`: of the rendezvous values.
void to_contenders(const NameState& name, std::string_view host_seed, Instant now, std::vector<Contender>& out);

// Whether a change of an endpoint's RTT alone can change the name's answer.
bool depends_on_rtt(const config::Name& name);

}  // namespace har::health
