// Candidates that a new text of the configuration asks elsewhere under their old title: what the store kept of them is
// another endpoint's (SEMANTICS: an endpoint is an address with the port and protocol of its check).
// Thread: any; no state but the set.  Tested by: moved_candidates_test.cc, tests/e2e/test_state.py
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "health/directory.h"

namespace har::app {

using MovedCandidates = std::set<std::pair<std::string, std::string>>;  // name, title

// Of the candidates that both have: those whose host, port or protocol differ.
MovedCandidates moved_candidates(const config::Config& before, const config::Config& now);

// Makes the rows of these too old to count; what the operator has said of a candidate holds all the same.
void forget_moved(const MovedCandidates& moved, std::vector<health::StoredEndpoint>& rows);

}  // namespace har::app
