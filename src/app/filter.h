// The system calls that a process may make from now on: a seccomp filter, built by libseccomp.
// Kept apart from rights.h so that the keeper, which has none, does not link the library.
// Off in sanitizer builds, whose run-time libraries need more: load() does nothing then.
// Tested by: tests/rights/
#pragma once

#include <seccomp.h>

#include <initializer_list>
#include <memory>
#include <type_traits>

#include "app/rights.h"

namespace har::app {

class Filter {
 public:
  enum class Otherwise {
    kKill,    // what is not named ends the process with SIGSYS
    kRefuse,  // what is not named fails with ENOSYS, as on a kernel that does not have it
  };
  explicit Filter(Otherwise otherwise);

  // Calls by number (SCMP_SYS(name)). One that this architecture does not have is passed over.
  Filter& allow(std::initializer_list<int> calls);
  Filter& allow(int call, std::initializer_list<scmp_arg_cmp> when);  // all conditions hold
  Filter& refuse(int error, std::initializer_list<int> calls);
  Filter& kill(std::initializer_list<int> calls);
  Filter& kill(int call, std::initializer_list<scmp_arg_cmp> when);

  // Binds all threads of the process, and those to come. Requires no_new_privileges(). Once: what it was built of, some
  // 100 KiB, is given up.
  void load(const Rights& rights);

 private:
  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };
  void add(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> when = {});

  std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, Release> context_;
  int error_ = 0;  // the first; it sticks, and load() reports it
};

// Conditions, so that the lists read well.
inline scmp_arg_cmp is(unsigned argument, scmp_datum_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
inline scmp_arg_cmp has(unsigned argument, scmp_datum_t bits) { return {argument, SCMP_CMP_MASKED_EQ, bits, bits}; }
inline scmp_arg_cmp has_none(unsigned argument, scmp_datum_t bits) { return {argument, SCMP_CMP_MASKED_EQ, bits, 0}; }
// Of these bits it has those of the value.
inline scmp_arg_cmp of_these(unsigned argument, scmp_datum_t bits, scmp_datum_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, bits, value};
}
// But for these bits it is the value.
inline scmp_arg_cmp is_but_for(unsigned argument, scmp_datum_t bits, scmp_datum_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, ~bits, value};
}

// What both children may do, whatever else: sockets of TCP and UDP over IPv4 and IPv6, memory that is not executable,
// threads' and signals' housekeeping, a signal to themselves alone (abort).
void allow_sockets(Filter& filter);
void allow_memory(Filter& filter);
void allow_housekeeping(Filter& filter);

}  // namespace har::app
