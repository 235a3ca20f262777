// What the checker gives up: it reads and writes files as its user may, asks upstreams and candidates over TCP and UDP,
// and that is all. It listens nowhere and starts no program.
// Thread: the main one.  Tested by: tests/rights/, tests/e2e/test_rights.py
#pragma once

#include <string>
#include <vector>

#include "app/filter.h"
#include "base/result.h"

namespace har::app {

// Before a thread of ours that stays: becomes the configured user and lets go of all capabilities. Where that is root,
// and one of these files belongs to somebody who keeps root without CAP_DAC_OVERRIDE out, that one is kept, with a
// line. Fails only when there is no such user or we may not change.
Result<void> drop_checker_rights(const std::string& user, const std::vector<std::string>& files_to_read,
                                 const std::string& file_to_write, const Rights& rights);

// Loaded before the first octet of an upstream or a candidate is read; the store's thread may run already.
Filter checker_filter();

}  // namespace har::app
