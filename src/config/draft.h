// The configuration while it is being read: what the options' store() write to, before the rules across options.
// Thread: one load().  Tested by: stores_test.cc, check_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/host_text.h"
#include "config/remarks.h"

namespace har::config {

// The check of a candidate as far as it has been written; becomes a Check when all of it is known.
struct CheckDraft {
  Check check;  // of its members method, host, port, path (in http), http_host and frequency_changing only the ones
                // below count
  std::optional<CheckMethod> method;
  std::optional<std::uint16_t> port;
  std::optional<std::string> path;
  std::string http_host;
  std::optional<Duration> frequency_changing;
  std::optional<CheckAddress> address;
};

template <class T>
struct Placed {
  T value;
  Place place;
};

// What store() writes to. The pointers that an option's `where` promises are set.
struct Draft {
  Config* config = nullptr;
  std::vector<Placed<IpPort>>* nameservers = nullptr;
  std::vector<Placed<IpAddress>>* binds = nullptr;
  Name* name = nullptr;
  CheckDraft* check = nullptr;
  Candidate* candidate = nullptr;
};

}  // namespace har::config
