// What both children do first, and small helpers that wrap one system call.
// Tested by: process_test.cc, tests/e2e/test_broken_machines.py
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/result.h"
#include "net/fd.h"

namespace har::app {

// A child obeys its keeper alone: the signals of a terminal or a service manager go to the keeper, so they are ignored
// here. So is that of a file that may not grow (ulimit -f): it is an error of the call. Raises the limit of open files
// as far as it may be raised.
void prepare_child_process();

// For every process: where no memory is left, or no thread can be started, it says so and ends, with exit code 1; the
// keeper starts a child again.
void end_without_memory();

// What a process gets from whoever starts it and must not depend on: closed standard descriptors, whose numbers the
// next socket or file would get, and with them the log's lines; the umask.
void settle_surroundings();

// Does the work in a thread of its own, and waits for its end. What the work needed for a moment lies in a heap of its
// own then, and goes back to the system. Where no thread can be had it is done as usual, without `first`.
void do_apart(const std::function<void()>& work, const std::function<void()>& first = {});

void raise_open_files_limit();       // as far as it may be raised
std::uint64_t open_files_allowed();  // the limit up to which a process may raise its own
// Whether so many more may be opened at once: opens them, and closes them again.
Result<void> try_to_open(std::size_t files);
int dup_cloexec(const net::Fd& fd);
void wait_ms(int milliseconds);

}  // namespace har::app
