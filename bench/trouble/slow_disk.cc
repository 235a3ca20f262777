// For LD_PRELOAD: a disk that takes two seconds for each fsync and a while for each write to a file of sqlite's.
#include <dlfcn.h>
#include <sys/types.h>
#include <time.h>

#include <cstddef>

namespace {

void wait_ms(long ms) {
  const timespec time{ms / 1000, ms % 1000 * 1'000'000};
  nanosleep(&time, nullptr);
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int fsync(int fd) {
  wait_ms(2000);
  return next<int (*)(int)>("fsync")(fd);
}

extern "C" int fdatasync(int fd) {
  wait_ms(2000);
  return next<int (*)(int)>("fdatasync")(fd);
}

extern "C" ssize_t pwrite64(int fd, const void* bytes, std::size_t size, off_t offset) {
  wait_ms(5);
  return next<ssize_t (*)(int, const void*, std::size_t, off_t)>("pwrite64")(fd, bytes, size, offset);
}
