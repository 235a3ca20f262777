// From a ranking to what the answer table says, and to the words of an event.
// Source: SEMANTICS "Answering" 1 to 3; table/content.h.  Thread: any.  Tested by: content_test.cc, tests/replay/
#pragma once

#include <span>
#include <string>

#include "config/config.h"
#include "health/ranking.h"
#include "table/content.h"

namespace har::health {

// `contenders`: those that the ranking was made from.
table::SlotContent to_content(const config::Name& name, std::span<const Contender> contenders, const Ranking& ranking);

// The answer's addresses, "A,B | AAAA", "-" for a family that gets none; or one word: forward, not_ready, servfail,
// nodata. An answer of equals (turns, lots) names all that are in it.
std::string describe(const table::SlotContent& content);

// Why the choice is as it is: "best_rtt 1.2ms", "failover tier 1", "failure_mode all", ...
std::string reason(const config::Name& name, std::span<const Contender> contenders, const Ranking& ranking);

// A duration for people: "1.2ms", "350us".
std::string to_text(Duration duration);

}  // namespace har::health
