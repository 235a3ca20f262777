// The tree to a Config: which option stands where, and the rules across options, names and candidates.
// Everything that is wrong goes to the remarks; the returned Config is fit for use only if there is no mistake.
// Thread: any.  Tested by: check_test.cc
#pragma once

#include "config/config.h"
#include "config/reader.h"
#include "config/remarks.h"

namespace har::config {

Config check_tree(const Tree& tree, Remarks& remarks, const LoadOptions& options);

}  // namespace har::config
