// Which options a section gives, with the sections around it: what a rule across options must know beside the values.
// Thread: any.  Tested by: check_test.cc
#pragma once

#include <array>

#include "config/schema.h"

namespace har::config {

class Scope {
 public:
  // `outer`: what this one inherits from (candidate, then name, then defaults); borrowed; may be null.
  explicit Scope(const Scope* outer = nullptr) : outer_(outer) {}

  void give(Key key, const Item& item) { given_[static_cast<std::size_t>(key)] = &item; }

  // The option as this section itself gives it; null if it does not.
  const Item* own(Key key) const { return given_[static_cast<std::size_t>(key)]; }
  // The innermost, and how far out it stands (0: here). Null: nobody gives it, the default holds.
  const Item* any(Key key, int* distance = nullptr) const {
    int steps = 0;
    for (const auto* scope = this; scope != nullptr; scope = scope->outer_, ++steps) {
      if (const auto* item = scope->own(key)) {
        if (distance != nullptr) *distance = steps;
        return item;
      }
    }
    if (distance != nullptr) *distance = steps;
    return nullptr;
  }

 private:
  const Scope* outer_;
  std::array<const Item*, kKeyCount> given_{};
};

}  // namespace har::config
