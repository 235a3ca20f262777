// One exchange of an http or https check on a connection that stands: the TLS handshake, the request out, the response
// in, until the verdict.
// A connection is one exchange: nothing is kept or reused. HTTP/1.1 only: a health page needs no more, and every server
// speaks it. No redirects, proxies, cookies.
// Not for: connecting (tcp_probe.h), timeouts, limits and waiting (prober.h).
// Thread: the control thread.  Tested by: http_exchange_test.cc, tls_stream_test.cc, prober_test.cc
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/fd.h"
#include "net/loop.h"
#include "probe/http_wire.h"
#include "probe/tls_stream.h"

namespace har::probe {

class HttpExchange {
 public:
  // `tls`: for https.
  HttpExchange(net::Fd socket, std::string request, const config::Check& check, std::optional<TlsStream> tls);

  // Does what can be done now. What is to be waited for next; kNone: the verdict has fallen.
  net::Watch::Interest go_on();

  const Verdict& verdict() const { return *wire_.verdict(); }
  bool is_secured() const { return !tls_ || tls_->is_secured(); }
  bool has_head() const { return wire_.has_head(); }
  int fd() const { return socket_.get(); }
  net::Fd end();  // takes leave of the peer; his socket, to be closed

 private:
  net::Watch::Interest send_on();
  void understand(std::string_view octets);
  void decrypt();
  void broke();

  net::Fd socket_;
  std::optional<TlsStream> tls_;
  std::string request_;   // with TLS until that stands
  std::string to_send_;   // as the peer is to get it
  std::size_t sent_ = 0;  // of it
  HttpWire wire_;
};

}  // namespace har::probe
