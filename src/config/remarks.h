// Where something stands in the configuration's text, and what is said about it: mistakes and warnings, put into the
// order of the text whatever the order in which the rules ran.
// Thread: one load().  Tested by: load_test.cc
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.h"

namespace har::config {

struct Place {
  std::uint32_t file = 0;   // index into the list of paths
  int line = 0;             // from 1; 0: the file as a whole
  std::uint32_t order = 0;  // counts the tokens of everything read: the order of the text, through all includes
};

class Remarks {
 public:
  void mistake(const Place& place, std::string what) { mistakes_.push_back({place, std::move(what)}); }
  void warning(const Place& place, std::string what) { warnings_.push_back({place, std::move(what)}); }

  std::size_t mistake_count() const { return mistakes_.size(); }

  // In the order of the text; the same words at the same place once. `paths`: what Place::file counts.
  std::vector<Mistake> mistakes(const std::vector<std::string>& paths) const { return sorted(mistakes_, paths); }
  std::vector<Mistake> warnings(const std::vector<std::string>& paths) const { return sorted(warnings_, paths); }

 private:
  struct Remark {
    Place place;
    std::string what;
  };
  static std::vector<Mistake> sorted(const std::vector<Remark>& remarks, const std::vector<std::string>& paths);

  std::vector<Remark> mistakes_, warnings_;
};

// The user's text for a message: in quotes, control characters escaped, shortened. Fit for a terminal and a log line.
std::string quoted(std::string_view text);
// The same without the quotes, for what is shown as part of something to write.
std::string shown(std::string_view text);

}  // namespace har::config
