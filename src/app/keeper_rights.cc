#include "app/keeper_rights.h"

#include <linux/capability.h>

#include <algorithm>

#include "app/precedence.h"

namespace har::app {

void drop_keeper_rights(const std::string& user, const std::vector<std::string>& programs, const Rights& rights) {
  Capabilities kept = capability(CAP_NET_BIND_SERVICE)  // a reload may bring another address on port 53
                      | capability(CAP_SETPCAP);        // a child empties the bounding set that it gets from us
  if (is_scheduled_as_usual()) kept |= capability(CAP_SYS_NICE);  // a worker that asks goes first
  if (!user.empty()) {
    // To become the user; to end what has become it, at SIGKILL's hand or, when we die, at the kernel's, which asks
    // whether we may.
    kept |= capability(CAP_SETUID) | capability(CAP_SETGID) | capability(CAP_KILL);
  }
  const bool can_start_all = std::all_of(programs.begin(), programs.end(), [&](const std::string& program) {
    return rights.is_usable_with(kept, program, Rights::Use::kExecute);
  });
  if (!can_start_all) kept |= capability(CAP_DAC_OVERRIDE);
  rights.keep_bounding_set(kept);
  rights.keep_capabilities(kept);
}

}  // namespace har::app
