// What both children do first, and small helpers that wrap one system call.
#pragma once

#include "net/fd.h"

namespace har::app {

// A child obeys its keeper alone: the signals of a terminal or a service manager go to the keeper, so they are ignored
// here. Raises the limit of open files as far as it may be raised.
void prepare_child_process();

int dup_cloexec(const net::Fd& fd);
void wait_ms(int milliseconds);

}  // namespace har::app
