// HAR_ASSERT: for our own bugs only, never for input. Stays on in every build: the cost is a predicted branch.
#pragma once

#include <cstdio>
#include <cstdlib>

#define HAR_ASSERT(condition)                                                                                       \
  do {                                                                                                              \
    if (!(condition)) [[unlikely]] {                                                                                \
      std::fprintf(stderr, "event=assertion_failed file=%s line=%d what=\"%s\"\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                                 \
    }                                                                                                               \
  } while (false)
