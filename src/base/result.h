// A value or the reason why there is none. The world's failures travel as values; nothing on the query path throws.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace har {

// What failed, for a person: names the operation and the object ("bind 127.0.0.1#53: Address already in use").
struct Error {
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> failure(std::string message) { return tl::unexpected<Error>(Error{std::move(message)}); }

}  // namespace har
