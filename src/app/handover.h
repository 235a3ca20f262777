// What a keeper leaves to the program that it is about to become (SIGUSR2): its sockets, memory and children, as
// numbers of descriptors that stay open over exec, in a memory file. Written by one version, read by the next: fields
// are only ever added at the end. Thread: the keeper's.  Tested by: handover_test.cc, tests/e2e/test_upgrade.py
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/listen_set.h"
#include "base/result.h"
#include "net/fd.h"

namespace har::app {

struct Handover {
  struct Process {
    pid_t pid = 0;  // 0: none
    int channel = -1;
  };
  ListenSet active;
  net::Fd bundle;
  std::uint64_t generation = 0;
  bool ready = false;
  Process checker, answerer;

  // Every descriptor stays open over exec from here on. The number of the memory file that says it all.
  Result<int> leave() const;
  // Takes over what was left in descriptor `number`; every descriptor is closed at the next exec again.
  static Result<Handover> take(int number);
  // The exec has failed: as before.
  void keep() const;

 private:
  void set_close_on_exec(bool on) const;
};

}  // namespace har::app
