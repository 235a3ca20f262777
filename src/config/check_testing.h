// For tests: a check like another one but for some of its members.
#pragma once

#include <utility>

#include "config/config.h"

namespace har::config {

// with(check, &Check::port, 8080)
template <class T, class V>
SharedCheck with(const SharedCheck& check, T Check::*member, V&& value) {
  Check changed = *check;
  changed.*member = static_cast<T>(std::forward<V>(value));
  return changed;
}

inline SharedCheck with_path(const SharedCheck& check, const std::string& path) {
  Check changed = *check;
  changed.http.edit().path = path;
  return changed;
}

inline SharedCheck check_of_host(const std::string& host) {
  Check check;
  check.host = check.http_host = host;
  return check;
}

}  // namespace har::config
