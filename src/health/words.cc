// The words for people of ranking.h.
#include "base/assert.h"
#include "health/ranking.h"

namespace har::health {

std::string_view word(Why why) {
  switch (why) {
    case Why::kSmallestRtt:
      return "smallest RTT";
    case Why::kKeepsPlace:
      return "keeps its place: nothing was better by the margin for the dwell";
    case Why::kRtt:
      return "by RTT";
    case Why::kFileOrder:
      return "order of the file";
    case Why::kHash:
      return "hash";
    case Why::kEqual:
      return "one of the group";
    case Why::kBehindGroup:
      return "slower than the group";
    case Why::kFillsUp:
      return "fills up: nearer tiers have fewer than min_available";
    case Why::kLastSuccess:
      return "failure mode, by last success";
    case Why::kLastUp:
      return "failure mode, the last that was up";
    case Why::kDown:
      return "down";
    case Why::kDrained:
      return "drained";
    case Why::kWaitsForObservation:
      return "not yet observed, and another is up";
    case Why::kSlow:
      return "slower than max_rtt, and a faster one is up";
    case Why::kFartherTier:
      return "a nearer tier is in use";
    case Why::kSameAddress:
      return "its address is already in the answer";
  }
  HAR_ASSERT(false);
}

std::string_view word(config::SelectionMethod method) {
  using config::SelectionMethod;
  switch (method) {
    case SelectionMethod::kBestRtt:
      return "best_rtt";
    case SelectionMethod::kGroupRttRr:
      return "group_rtt_rr";
    case SelectionMethod::kFailover:
      return "failover";
    case SelectionMethod::kRandom:
      return "random";
    case SelectionMethod::kWeighted:
      return "weighted";
    case SelectionMethod::kHash:
      return "hash";
  }
  HAR_ASSERT(false);
}

std::string_view word(config::FailureMode mode) {
  using config::FailureMode;
  switch (mode) {
    case FailureMode::kAll:
      return "all";
    case FailureMode::kLast:
      return "last";
    case FailureMode::kFixed:
      return "fixed";
    case FailureMode::kForward:
      return "forward";
    case FailureMode::kNodata:
      return "nodata";
    case FailureMode::kServfail:
      return "servfail";
  }
  HAR_ASSERT(false);
}

}  // namespace har::health
