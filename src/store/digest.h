// Digests of endpoint rows: what the file holds is remembered by them.
// Thread: any; no state.  Tested by: store_test.cc
#pragma once

#include <cstdint>
#include <string_view>

#include "store/store.h"

namespace har::store {

// Which of its name's rows it is.
std::uint64_t key_of(std::string_view candidate, std::string_view address);

// Of everything in a row that may change; never 0. Two different rows share one once in an age, and then a row is
// written at its next change.
std::uint64_t digest_of(const EndpointRow& row);

}  // namespace har::store
