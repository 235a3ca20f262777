// What the keeper gives up when its sockets are bound. It keeps what a reload, a child's death and a child's change of
// user need; it has no filter, since its children would inherit it.
// Thread: the keeper's.  Tested by: tests/rights/, tests/e2e/test_rights.py
#pragma once

#include <string>
#include <vector>

#include "app/rights.h"

namespace har::app {

// `user`: whom the children become; empty: nobody. `programs`: what must still be started.
void drop_keeper_rights(const std::string& user, const std::vector<std::string>& programs, const Rights& rights);

}  // namespace har::app
