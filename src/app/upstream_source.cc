#include "app/upstream_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "config/resolv_conf.h"
#include "net/sockaddr.h"

namespace har::app {
namespace {

constexpr Duration kSettle = std::chrono::milliseconds(20);
constexpr Duration kPoll = std::chrono::seconds(5);

std::vector<IpPort> read_list(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return config::parse_resolv_conf(text.str(), [](const std::string& name) { return if_nametoindex(name.c_str()); });
}

// systemd-resolved's own listeners: what stands behind them is asked instead.
bool is_local_stub(const IpPort& server) {
  const auto& b = server.ip.bytes;
  return server.ip.family == Family::kV4 && b[0] == 127 && b[1] == 0 && b[2] == 0 && (b[3] == 53 || b[3] == 54);
}

// Not by a trial bind: where net.ipv4.ip_nonlocal_bind is set that succeeds for every address.
bool is_address_of_this_host(const IpAddress& ip) {
  if (ip.is_loopback()) return true;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return false;
  bool found = false;
  for (const ifaddrs* i = list; i != nullptr && !found; i = i->ifa_next) {
    if (i->ifa_addr == nullptr) continue;
    net::SocketAddress address;
    if (i->ifa_addr->sa_family == AF_INET) {
      std::memcpy(&address.v4, i->ifa_addr, sizeof address.v4);
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      std::memcpy(&address.v6, i->ifa_addr, sizeof address.v6);
    } else {
      continue;
    }
    found = address.to_ip_port().ip == ip;
  }
  freeifaddrs(list);
  return found;
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string real_path(const std::string& path) {
  char target[PATH_MAX];
  return realpath(path.c_str(), target) == nullptr ? path : target;
}

}  // namespace

bool is_among(const std::vector<IpPort>& listened, const IpPort& server) {
  return std::any_of(listened.begin(), listened.end(), [&](const IpPort& own) {
    if (own == server) return true;
    return own.port == server.port && own.ip.is_unspecified() && own.ip.family == server.ip.family &&
           is_address_of_this_host(server.ip);
  });
}

UpstreamSource::UpstreamSource(net::Loop& loop, const Log& log, Paths paths, IsUs is_us, Changed changed)
    : loop_(loop),
      log_(log),
      paths_(std::move(paths)),
      is_us_(std::move(is_us)),
      changed_(std::move(changed)),
      settle_(loop, [this] { on_event(); }),
      poll_(loop, [this] {
        if (signature() != signature_) on_event();
        poll_.set(kPoll);
      }) {
  watch();
  look();
  poll_.set(kPoll);
}

void UpstreamSource::look() {
  signature_ = signature();
  std::vector<IpPort> found = read_list(paths_.resolv_conf);
  if (found.empty()) {  // absent, empty or cut: somebody is writing it, or the network is away
    if (upstreams_.empty()) say_none("it names none, or is not there");
    return;
  }
  const bool only_stub =
      std::all_of(found.begin(), found.end(), [this](const IpPort& s) { return is_local_stub(s) || is_us_(s); });
  if (only_stub) {
    auto behind = read_list(paths_.behind_stub);
    std::erase_if(behind, is_us_);
    if (!behind.empty()) found = std::move(behind);
  }
  const bool named_us = std::erase_if(found, is_us_) > 0;
  if (found.empty()) {
    say_none(named_us ? "it names only us" : "it names none");
    return;  // the last list may still be right: the operator has just put us into resolv.conf
  }
  none_logged_ = false;
  upstreams_ = std::move(found);
}

void UpstreamSource::say_none(const char* reason) {
  if (std::exchange(none_logged_, true)) return;
  log_.warning("no_upstream", {{"file", paths_.resolv_conf}, {"reason", reason}});
}

void UpstreamSource::watch() {
  inotify_watch_.reset();
  inotify_ = net::Fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_) return not_followed(errno);
  const std::set<std::string> folders{folder_of(paths_.resolv_conf), folder_of(real_path(paths_.resolv_conf)),
                                      folder_of(paths_.behind_stub)};
  for (const std::string& folder : folders) {
    const int watch = inotify_add_watch(inotify_.get(), folder.c_str(),
                                        IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                            IN_DELETE_SELF | IN_MOVE_SELF | IN_MODIFY | IN_ONLYDIR);
    if (watch < 0 && (errno == ENOSPC || errno == ENOMEM)) not_followed(errno);  // not: there is no such folder
  }
  inotify_watch_ = std::make_unique<net::Watch>(loop_, inotify_.get(), net::Watch::kRead, [this](net::Watch::Interest) {
    alignas(inotify_event) char events[4096];
    while (read(inotify_.get(), events, sizeof events) > 0) {
    }
    if (signature() != signature_ && !settle_.is_set()) settle_.set(kSettle);
  });
}

// The poll still looks.
void UpstreamSource::not_followed(int error) {
  if (std::exchange(not_followed_logged_, true)) return;
  log_.warning("resolv_conf_not_followed", {{"file", paths_.resolv_conf},
                                            {"reason", strerrordesc_np(error)},
                                            {"instead", fmt::format("looked at every {:.0f} s", to_seconds(kPoll))}});
}

void UpstreamSource::on_event() {
  const auto before = upstreams_;
  watch();  // a symlink may point elsewhere now
  look();
  if (upstreams_ != before) changed_(upstreams_);
}

std::string UpstreamSource::signature() const {
  std::string out;
  for (const std::string& path : {paths_.resolv_conf, paths_.behind_stub}) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0) {
      out += fmt::format("{} {} {}.{:09} {} ", status.st_dev, status.st_ino, status.st_mtim.tv_sec,
                         status.st_mtim.tv_nsec, status.st_size);
    } else {
      out += "- ";
    }
    out += real_path(path) + "\n";
  }
  return out;
}

}  // namespace har::app
