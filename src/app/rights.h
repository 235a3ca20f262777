// The steps by which a process gives up what it does not need; each wraps one system call or two. A step that the
// system refuses (an old kernel, a container's own rules) is one line of the log and gone without: that is no reason
// not to answer.
// Thread: before a process has its second one, since capabilities belong to threads.
// Source: capabilities(7), prctl(2), getrlimit(2).  Tested by: tests/rights/, tests/e2e/test_rights.py
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/log.h"

namespace har::app {

using Capabilities = std::uint64_t;  // bit n: capability n of linux/capability.h
constexpr Capabilities capability(int number) { return Capabilities{1} << number; }

class Rights {
 public:
  explicit Rights(const Log& log) : log_(log) {}

  // The most that this process and whatever it executes can ever have again.
  void keep_bounding_set(Capabilities kept) const;
  // What it has now; what it does not have is not given. Inheritable and ambient ones only as far as they are kept.
  void keep_capabilities(Capabilities kept) const;
  void no_new_privileges() const;
  // No core files, and no other process of the same user may look into it.
  void no_dumps() const;
  void limit(const char* step, __rlimit_resource what, rlim_t most) const;

  // False when the file, or for kWrite its folder, is closed to a process of this user that has no more than `kept`; a
  // file that does not exist is to be made. Says so in the log. Root alone is ever told no here and yes without this
  // question.
  enum class Use { kRead, kWrite, kExecute };
  bool is_usable_with(Capabilities kept, const std::string& path, Use use) const;

  void refused(std::string_view step, int error) const;

 private:
  const Log& log_;
};

}  // namespace har::app
