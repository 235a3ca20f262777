// Keeps the copy of the last accepted configuration beside data_file, on a thread of its own: a disk that hangs must
// keep neither the checks nor the end waiting. One thread at a time; of several configurations the last one stays.
// Not for: what the copy looks like and how it is read again (config_files.h).
// Thread: the control thread.  Tested by: accepted_copy_test.cc
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "app/bundle.h"
#include "base/log.h"
#include "base/time.h"

namespace har::app {

class AcceptedCopy {
 public:
  AcceptedCopy(std::string data_file, const Log& log) : data_file_(std::move(data_file)), log_(log) {}

  void keep(Bundle bundle);
  void look();  // now and then: begins with the next one once the last one is written
  // Waits until everything is written, but no longer than `patience`. False: the disk does not answer.
  bool settle(Duration patience);

 private:
  // fixed after construction
  const std::string data_file_;
  const Log log_;
  // owned by the control thread
  std::optional<Bundle> next_;
  // set by the control thread, cleared by the writing one, which may outlive this object
  std::shared_ptr<std::atomic<bool>> busy_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace har::app
