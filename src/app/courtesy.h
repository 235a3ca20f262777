// Who answers goes first where the processes share a core (the answerer's side of it: app/precedence.h). The checker
// stands back (a nice value 10 higher) while it works long: it reads and lays out a configuration while an answerer
// answers, or asks everybody in the first round of a start, and where it writes to disk. Not otherwise: on a busy core
// it would come late by more than a probe is waited for, and such a timeout is held against nobody (probe/lateness.h),
// so that a dead server would stay. What it brings: doc/PERFORMANCE.md.
// Source: setpriority(2).  Tested by: courtesy_test.cc
#pragma once

#include <functional>

namespace har::app {

// Thread: the control thread; while it waits for such work, the work's.
class Courtesy {
 public:
  Courtesy();  // before there is a filter of system calls

  // Does the work in a thread of its own that stands back, and waits for its end: who was nicer may not come back
  // without privileges. Where no thread can be had, and from inside such work, it is done as we are.
  void stand_back_for(const std::function<void()>& work);

  // To be called by a thread that shall stand back from then on, for good. Does not need us any more.
  std::function<void()> standing_back() const;

 private:
  const int usual_;  // nice value
  bool stands_back_ = false;
};

}  // namespace har::app
