// What a candidate's options come to: the Check that its endpoints get, and the rules between those options.
// Thread: any.  Tested by: check_test.cc
#pragma once

#include <optional>

#include "config/schema.h"
#include "config/scope.h"

namespace har::config {

// The check in full, or nothing when a mistake was reported (here or while reading). Parts of a Check that its method
// does not use are put to their defaults, so that checks which are the same compare equal.
std::optional<Check> finish_check(const CheckDraft& draft, const Text& title, const Scope& scope, Remarks& remarks);

// Options that say nothing to this candidate's method or this name's selection. `scope`: the candidate's own.
void remark_useless(const Check& check, const Scope& scope, SelectionMethod selection, Remarks& remarks);

// The options of HTTP, which a TCP check cannot have.
std::span<const Key> http_only_keys();

}  // namespace har::config
