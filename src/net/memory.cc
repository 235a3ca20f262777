#include "net/memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace har::net {
namespace {

tl::unexpected<Error> memory_failure(const char* operation) {
  return failure(fmt::format("{} of shared memory: {}", operation, strerrordesc_np(errno)));
}

}  // namespace

Result<Fd> make_memory(const char* name, std::size_t size) {
  Fd memory(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) return memory_failure("memfd_create");
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t rounded = (size + page - 1) / page * page;
  if (ftruncate(memory.get(), static_cast<off_t>(rounded == 0 ? page : rounded)) != 0)
    return memory_failure("ftruncate");
  if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return memory_failure("sealing");
  return memory;
}

Result<Fd> reopen_read_only(const Fd& memory) {
  Fd reopened(open(fmt::format("/proc/self/fd/{}", memory.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!reopened) return memory_failure("reopening");
  return reopened;
}

Result<Fd> text_to_memory(const char* name, std::string_view text) {
  Fd memory(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) return memory_failure("memfd_create");
  while (!text.empty()) {
    const auto written = write(memory.get(), text.data(), text.size());
    if (written <= 0) return memory_failure("write");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    return memory_failure("sealing");
  }
  return memory;
}

Result<std::string> memory_to_text(const Fd& memory, std::size_t limit) {
  struct stat status {};
  if (fstat(memory.get(), &status) != 0) return memory_failure("fstat");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > limit) return failure(fmt::format("shared text of {} octets is over the limit of {}", size, limit));
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const auto got = pread(memory.get(), text.data() + done, size - done, static_cast<off_t>(done));
    if (got <= 0) return memory_failure("read");
    done += static_cast<std::size_t>(got);
  }
  return text;
}

Result<Mapping> Mapping::map(const Fd& memory, Mode mode) {
  // Not fstat: the C library makes a look at a path of it, and the answerer may look at no path.
  const off_t end = lseek(memory.get(), 0, SEEK_END);
  if (end < 0) return memory_failure("lseek");
  const auto size = static_cast<std::size_t>(end);
  const int rights = mode == Mode::kReadOnly ? PROT_READ : PROT_READ | PROT_WRITE;
  void* address = mmap(nullptr, size, rights, MAP_SHARED, memory.get(), 0);
  if (address == MAP_FAILED) return memory_failure("mmap");
  return Mapping({static_cast<std::byte*>(address), size});
}

Mapping::~Mapping() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

}  // namespace har::net
