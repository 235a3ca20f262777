#include "app/host_seed.h"

#include <unistd.h>

#include <array>
#include <fstream>

namespace har::app {

std::string host_seed(const std::vector<std::string>& id_files, std::string_view host_name) {
  std::string id;
  for (const std::string& path : id_files) {
    std::ifstream file(path);
    if (std::getline(file, id) && !id.empty() && id != "uninitialized") break;
    id.clear();
  }
  return id.append("\n").append(host_name);  // a line holds no line end: "a" and "bc" are not "ab" and "c"
}

std::string host_seed() {
  std::array<char, 256> name{};  // Linux has no longer ones; the last octet stays zero
  if (gethostname(name.data(), name.size() - 1) != 0) name[0] = 0;
  return host_seed({"/etc/machine-id", "/var/lib/dbus/machine-id"}, name.data());
}

}  // namespace har::app
