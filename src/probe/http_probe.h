// HTTP and HTTPS checks whose URL or headers are not simple, on connections that stand already: a GET, the
// certificate's verification, the verdict. Not for: connecting (tcp_probe.h), the others (http_exchange.h), timeouts
// and limits (prober.h).
//
// libcurl is given the connected socket, so that it neither resolves nor connects, and the address that was connected
// is the one that was meant. Each probe is one connection: nothing is kept or reused, TLS sessions neither (a resumed
// one would not show an expired certificate). HTTP/1.1 only: a health page needs no more, and every server speaks it.
// No redirects, proxies, cookies, .netrc; HTTP/0.9 is refused.
// One multi handle per CA file: libcurl keeps one parsed file per multi handle, and parsing costs some 40 ms.
//
// Thread: the control thread.  Tested by: http_probe_test.cc, http_reading_test.cc
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/time.h"
#include "health/directory.h"
#include "net/fd.h"
#include "net/loop.h"
#include "probe/polite_close.h"
#include "probe/verdict.h"

namespace har::probe {

class HttpProbes {
 public:
  using Ticket = std::uint64_t;
  // Never called from inside begin() or give_up(). `at`: when the verdict fell. Anything may be done in it.
  using Done = std::function<void(const Verdict& verdict, Instant at)>;
  // The TLS handshake is done (for http: at once). Called from inside libcurl: must not call back in here.
  using Secured = std::function<void()>;

  HttpProbes(net::Loop& loop, PoliteCloser& closer);
  ~HttpProbes();

  // `connected` is to target.address and target.check.port. Nothing comes of it when memory is short.
  std::optional<Ticket> begin(net::Fd connected, const health::CheckTarget& target, Secured secured, Done done);
  void give_up(Ticket ticket);  // no callback comes; unknown tickets are ignored

  bool has_head(Ticket ticket) const;  // for the reason of a timeout: where it stands

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "https://[2001:db8::1]:8443/path": what is asked of the endpoint. Host and SNI come from it.
std::string probe_url(const config::Check& check);

}  // namespace har::probe
