#include "app/port_owner.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>

namespace har::app {
namespace {

// The address as /proc/net writes it: each 32-bit word in the host's byte order, in hexadecimal.
std::string proc_address(const IpAddress& ip) {
  std::string out;
  for (std::size_t i = 0; i < ip.size(); i += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, ip.bytes.data() + i, 4);
    out += fmt::format("{:08X}", word);
  }
  return out;
}

// Inodes of the sockets in /proc/net/udp and tcp (`version` 6: udp6 and tcp6) that are bound to one of the addresses on
// this port.
std::set<std::string> inodes(std::string_view version, const std::set<std::string>& addresses, std::uint16_t number) {
  std::set<std::string> found;
  const std::string port = fmt::format("{:04X}", number);
  for (const char* kind : {"udp", "tcp"}) {
    std::ifstream table(fmt::format("/proc/net/{}{}", kind, version));
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
      std::istringstream fields(line);
      std::string entry, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      fields >> entry >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
      const bool bound = std::strcmp(kind, "udp") == 0 || state == "0A" /* listening */;
      const auto colon = local.find(':');
      if (!bound || inode == "0" || local.substr(colon + 1) != port) continue;
      if (addresses.contains(local.substr(0, colon))) found.insert("socket:[" + inode + "]");
    }
  }
  return found;
}

// Inodes of the sockets bound to the address, or to all addresses, on this port.
std::set<std::string> inodes(const IpPort& address) {
  const std::string exact = proc_address(address.ip);
  const std::string any_v6(32, '0');
  if (address.ip.family == Family::kV6) return inodes("6", {exact, any_v6}, address.port);
  const std::string any_v4(8, '0');
  auto found = inodes("", {exact, any_v4}, address.port);
  if (!found.empty()) return found;
  // A socket of IPv6 may hold it as well. Asked second: one on [::] may keep to IPv6, which cannot be seen here, and
  // stand beside the one that holds the address.
  const std::string mapped = proc_address(*IpAddress::parse("::ffff:0.0.0.0")).substr(0, 24);
  return inodes("6", {any_v6, mapped + exact, mapped + any_v4}, address.port);
}

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

}  // namespace

std::optional<PortOwner> find_port_owner(const IpPort& address) {
  const auto wanted = inodes(address);
  if (wanted.empty()) return std::nullopt;
  const Dir processes(opendir("/proc"));
  if (!processes) return std::nullopt;
  // The lowest pid is the parent of the others that share the socket: the one to end.
  std::optional<PortOwner> owner;
  while (const dirent* process = readdir(processes.get())) {
    int pid = 0;
    std::from_chars(process->d_name, process->d_name + std::strlen(process->d_name), pid);
    if (pid <= 0 || pid == getpid() || (owner && owner->pid < pid)) continue;
    const Dir fds(opendir(fmt::format("/proc/{}/fd", pid).c_str()));
    if (!fds) continue;
    while (const dirent* entry = readdir(fds.get())) {
      char target[64];
      const auto size = readlinkat(dirfd(fds.get()), entry->d_name, target, sizeof target);
      if (size <= 0 || !wanted.contains(std::string(target, static_cast<std::size_t>(size)))) continue;
      std::ifstream comm(fmt::format("/proc/{}/comm", pid));
      std::string name;
      std::getline(comm, name);
      owner = PortOwner{pid, name};
      break;
    }
  }
  return owner;
}

}  // namespace har::app
