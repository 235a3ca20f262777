// Equal checks, and what is equal of different ones, become one object: those of one configuration, and those that the
// configuration before had already. Thread: one load().  Tested by: check_pool_test.cc
#pragma once

#include <unordered_set>

#include "config/config.h"

namespace har::config {

class CheckPool {
 public:
  // `before`: whose checks are used again; may be null.
  explicit CheckPool(const Config* before = nullptr);

  SharedCheck share(Check check);

 private:
  struct Hash {
    std::size_t operator()(const SharedCheck& check) const;
    std::size_t operator()(const Shared<HttpCheck>& http) const;
  };
  std::unordered_set<SharedCheck, Hash> checks_;
  std::unordered_set<Shared<HttpCheck>, Hash> https_;
};

}  // namespace har::config
