// What an answerer serves: one generation of the table, the counters and the sockets, as the keeper passed it.
// Thread: immutable once built, shared by the workers.
#pragma once

#include <cstdint>

#include "net/memory.h"
#include "table/counters.h"
#include "table/reader.h"

namespace har::app {

struct Serving {
  std::uint64_t generation = 0;
  net::Mapping table_memory;     // read-only
  net::Mapping counters_memory;  // each worker writes its own cells
  table::Reader table;
  table::Counters counters;
};

}  // namespace har::app
