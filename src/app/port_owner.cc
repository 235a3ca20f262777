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

// Inodes of the sockets bound to the address, or to all addresses, on this port.
std::set<std::string> inodes(const IpPort& address) {
  std::set<std::string> found;
  const bool v6 = address.ip.family == Family::kV6;
  const std::string port = fmt::format(":{:04X}", address.port);
  const std::string exact = proc_address(address.ip) + port;
  const std::string any = std::string(v6 ? 32 : 8, '0') + port;
  for (const char* kind : {"udp", "tcp"}) {
    std::ifstream table(fmt::format("/proc/net/{}{}", kind, v6 ? "6" : ""));
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
      std::istringstream fields(line);
      std::string number, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      fields >> number >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
      const bool bound = std::strcmp(kind, "udp") == 0 || state == "0A" /* listening */;
      if (bound && (local == exact || local == any) && inode != "0") found.insert("socket:[" + inode + "]");
    }
  }
  return found;
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
