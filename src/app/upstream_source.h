// Where the upstreams come from when the configuration names none: /etc/resolv.conf, followed as it changes.
// Source: SEMANTICS "Forwarding", first paragraph.  Thread: the control thread.  Tested by: upstream_source_test.cc
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/log.h"
#include "net/fd.h"
#include "net/loop.h"

namespace har::app {

class UpstreamSource {
 public:
  struct Paths {
    std::string resolv_conf = "/etc/resolv.conf";
    std::string behind_stub = "/run/systemd/resolve/resolv.conf";  // what systemd-resolved itself asks
  };
  using IsUs = std::function<bool(const IpPort&)>;
  using Changed = std::function<void(const std::vector<IpPort>&)>;

  // `changed` is called from the loop, with the new list, whenever it differs from the last one.
  UpstreamSource(net::Loop& loop, const Log& log, Paths paths, IsUs is_us, Changed changed);

  const std::vector<IpPort>& upstreams() const { return upstreams_; }  // as last read; may be empty

 private:
  void look();                        // reads the files; keeps the last list when they are empty or cut
  void say_none(const char* reason);  // once, until there is one
  void watch();                       // (again) the folders of the file, of its symlink's target and of behind_stub
  void not_followed(int error);
  void on_event();
  std::string signature() const;

  // fixed after construction
  net::Loop& loop_;
  const Log& log_;
  Paths paths_;
  IsUs is_us_;
  Changed changed_;
  // owned by the control thread
  std::vector<IpPort> upstreams_;
  bool none_logged_ = false, not_followed_logged_ = false;
  std::string signature_;
  net::Fd inotify_;
  std::unique_ptr<net::Watch> inotify_watch_;
  net::Timer settle_;  // several events of one change are one reading
  net::Timer poll_;    // where inotify sees nothing: a bind mount over the file
};

// Whether a server is hard itself, which listens to `listened`: one of them, or any address of this host where we
// listen to all of a family.
bool is_among(const std::vector<IpPort>& listened, const IpPort& server);

}  // namespace har::app
