// What a configuration costs: checks a second. The text that `hard --check` prints.
// Thread: any.  Tested by: rate_test.cc
#pragma once

#include <string>

#include "config/config.h"

namespace har::config {

// Both require: as load() gave it, so that equal checks are one object.
// Checks a second of one address of every check, each probed once however many names use it.
double checks_per_second(const Config& config);

// Names, candidates, checks a second for one host, and per endpoint for 1,000 hosts. Ends with a newline.
std::string check_rate_report(const Config& config);

}  // namespace har::config
