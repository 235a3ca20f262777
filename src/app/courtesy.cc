#include "app/courtesy.h"

#include <sys/resource.h>

#include <utility>

#include "app/process.h"

namespace har::app {

namespace {

constexpr int kNicer = 10;

}  // namespace

Courtesy::Courtesy() : usual_(getpriority(PRIO_PROCESS, 0)) {}

std::function<void()> Courtesy::standing_back() const {
  return [nicer = usual_ + kNicer] { setpriority(PRIO_PROCESS, 0, nicer); };  // of the calling thread alone
}

void Courtesy::stand_back_for(const std::function<void()>& work) {
  if (std::exchange(stands_back_, true)) return work();
  do_apart(work, standing_back());
  stands_back_ = false;
}

}  // namespace har::app
