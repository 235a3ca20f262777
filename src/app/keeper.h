// The keeper: holds the sockets, the table's memory and the last accepted configuration; starts the other two processes
// and starts them again. Parses nothing that comes from outside; its peers are its own children.
// Source: ARCHITECTURE "Three processes".  Thread: one.  Tested by: tests/e2e/
#pragma once

#include <string>

#include "base/log.h"

namespace har::app {

struct KeeperOptions {
  std::string config_path;
  std::string program;         // this one; what stands there later is its next version
  std::string program_folder;  // where hard-answerer and hard-checker stand
  int handover = -1;           // descriptor of what a predecessor has left, see handover.h
};

// Runs until SIGTERM or SIGINT; returns the exit code: 0, 1 (cannot start), 2 (bad configuration).
int run_keeper(const KeeperOptions& options, Log& log);

}  // namespace har::app
