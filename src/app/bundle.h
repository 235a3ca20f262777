// A configuration that was accepted, as text that stands alone: every file it was read from and every variable it used.
// The keeper holds one for a restarted checker; a copy lies beside data_file for a start with a bad file.
// Thread: none; values.  Tested by: bundle_test.cc, tests/fuzz/messages_fuzz.cc
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/load.h"

namespace har::app {

struct Bundle {
  std::string main_path;
  std::vector<config::SourceFile> files;
  std::vector<std::pair<std::string, std::optional<std::string>>> variables;
  // Keys that need a restart and that a reload has changed in vain: what they are until then.
  std::vector<std::pair<std::string, std::string>> in_force;

  static constexpr std::size_t kMaxSize = 128u << 20;

  static Bundle take(const std::string& main_path, config::Loaded& loaded);  // its files and variables
  std::string to_text() const;
  static Result<Bundle> parse(std::string_view text);
  config::Loaded load(const config::LoadOptions& options = {}) const;
};

}  // namespace har::app
