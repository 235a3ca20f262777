// What the answerer gives up: everything but the sockets and the memory that it was given, and new sockets of UDP and
// TCP towards upstreams. It opens no file and starts no program, thread or process.
// Thread: the main one.  Tested by: tests/rights/, tests/e2e/test_rights.py
#pragma once

#include <cstdint>
#include <string>

#include "app/filter.h"
#include "base/result.h"

namespace har::app {

// Before the first worker: becomes the configured user and lets go of all capabilities. Fails only when there is no
// such user or we may not change.
Result<void> drop_answerer_rights(const std::string& user, std::uint32_t workers, const Rights& rights);

// Built early, so that it costs the start nothing; loaded when the workers' threads run, since there will be no more.
Filter answerer_filter();
void seal_answerer(Filter& filter, const Rights& rights);

}  // namespace har::app
