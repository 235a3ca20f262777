#include "probe/own_trouble.h"

#include <algorithm>
#include <utility>

namespace har::probe {

void OwnTrouble::no_room(std::string_view error, const Schedule& schedule, Instant now) {
  if (now < next_shortage_line_) return;
  next_shortage_line_ = now + kLogPause;
  log_.error("probe_not_started", {{"error", error}, {"in_flight", schedule.in_flight()}});
}

void OwnTrouble::not_counted(Duration lost) {
  ++not_counted_;
  most_lost_ = std::max(most_lost_, lost);
}

void OwnTrouble::tell(const Schedule& schedule, Instant now) {
  tell_stretch(schedule, now);
  tell_not_counted(schedule, now);
}

void OwnTrouble::tell_stretch(const Schedule& schedule, Instant now) {
  const double stretch = schedule.stretch();
  const bool stretched = stretch > 1.0;
  if (stretched == told_stretched_) return;
  if (stretched) {
    if (now < next_stretch_line_) return;
    next_stretch_line_ = now + kLogPause;
    log_.warning("checks_stretched", {{"factor", fmt::format("{:.2f}", stretch)},
                                      {"checks", schedule.size()},
                                      {"in_flight", schedule.in_flight()},
                                      {"handshakes", schedule.handshakes()}});
  } else {
    log_.info("checks_on_schedule", {{"checks", schedule.size()}});
  }
  told_stretched_ = stretched;
}

void OwnTrouble::tell_not_counted(const Schedule& schedule, Instant now) {
  if (not_counted_ == 0 || now < next_not_counted_line_) return;
  next_not_counted_line_ = now + kLogPause;
  const auto lost = std::chrono::duration_cast<std::chrono::milliseconds>(std::exchange(most_lost_, {}));
  const std::uint64_t late = schedule.late();
  log_.warning("timeouts_not_counted", {{"count", std::exchange(not_counted_, 0)},
                                        {"stalled_ms", lost.count()},
                                        {"begun_late", late - std::exchange(told_late_, late)}});
}

}  // namespace har::probe
