#include "probe/own_trouble.h"

namespace har::probe {

void OwnTrouble::no_room(std::string_view error, const Schedule& schedule, Instant now) {
  if (now < next_shortage_line_) return;
  next_shortage_line_ = now + kLogPause;
  log_.error("probe_not_started", {{"error", error}, {"in_flight", schedule.in_flight()}});
}

void OwnTrouble::tell(const Schedule& schedule, Instant now) { tell_stretch(schedule, now); }

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

}  // namespace har::probe
