// A configuration that is to stay lies between what its reading needed for a moment: with 10,000 names a third of the
// pages that it keeps are holes. A copy made afterwards, in the heap of another thread, lies close, and the reader's
// heap goes back to the system whole. Thread: any.  Tested by: compact_test.cc
#pragma once

#include <memory>

#include "config/config.h"

namespace har::config {

// Equal to `config`, and shares no check with it but those that `before` has as well (null: none). What is one check in
// `config` is one in the copy.
std::shared_ptr<const Config> compact_copy(const Config& config, const Config* before);

}  // namespace har::config
