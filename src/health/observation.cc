#include "health/observation.h"

#include "base/assert.h"

namespace har::health {

std::string_view word(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kTimeout:
      return "timeout";
    case Outcome::kConnectError:
      return "connect_error";
    case Outcome::kResponseError:
      return "response_error";
    case Outcome::kOtherError:
      return "other_error";
  }
  HAR_ASSERT(false);
}

std::string_view word(State state) {
  switch (state) {
    case State::kUnknown:
      return "unknown";
    case State::kUp:
      return "up";
    case State::kDown:
      return "down";
  }
  HAR_ASSERT(false);
}

}  // namespace har::health
