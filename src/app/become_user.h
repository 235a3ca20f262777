// The change to the configured user, once, early in a child's life.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace har::app {

// Takes the user's uid, primary group and supplementary groups for good; empty: stays as it is. Sets the parent-death
// signal again, which the kernel clears on a change of uid. Fails when there is no such user or we may not change.
Result<void> become_user(const std::string& user);

// Whether `uid` is who become_user(user) would make of us.
bool is_user(const std::string& user, uid_t uid);

}  // namespace har::app
