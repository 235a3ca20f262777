#include "health/rtt.h"

namespace har::health {

void RttAverage::add(Duration measured) {
  if (measured <= Duration::zero()) return;
  value_ = measurements_ == 0 ? measured : value_ + (measured - value_) / 4;
  if (measurements_ < kEnoughMeasurements) ++measurements_;
}

void RttAverage::restore(Duration average) {
  if (average <= Duration::zero()) return;
  value_ = average;
  measurements_ = kEnoughMeasurements;
}

}  // namespace har::health
