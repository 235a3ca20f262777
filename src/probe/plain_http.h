// One exchange of a plain http check on a connection that stands: the request out, the response in, until the verdict.
// Not for: https (http_probe.h), timeouts and waiting (prober.h).
// Thread: the control thread.  Tested by: http_probe_test.cc, prober_test.cc
#pragma once

#include <string>

#include "net/fd.h"
#include "net/loop.h"
#include "probe/http_wire.h"

namespace har::probe {

class PlainHttp {
 public:
  PlainHttp(net::Fd socket, std::string request, const config::Check& check)
      : socket_(std::move(socket)),
        request_(std::move(request)),
        wire_(HttpReading(check.http->expect_status, check.http->expect_body)) {}

  // Does what can be done now. What is to be waited for next; kNone: the verdict has fallen.
  net::Watch::Interest go_on();

  const Verdict& verdict() const { return *wire_.verdict(); }
  bool has_head() const { return wire_.has_head(); }
  int fd() const { return socket_.get(); }
  net::Fd take_socket() { return std::move(socket_); }

 private:
  net::Fd socket_;
  std::string request_;
  std::size_t sent_ = 0;
  HttpWire wire_;
};

}  // namespace har::probe
