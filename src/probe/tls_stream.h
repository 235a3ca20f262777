// The client's side of one TLS connection as a machine between octets: what the peer sent goes in, what is to be sent
// comes out, and the plain text between. And the contexts that connections share, which hold the certificates to trust.
// Not for: sockets and waiting (http_exchange.h).
// Each connection is a full handshake: no session is kept or resumed, which would not show an expired certificate.
// The certificate's chain is verified in the handshake; then, before a word is sent, its name, with
// libcurl's rules (doc/decisions/0006). Wraps OpenSSL, which no other folder names.  Source: RFC 8446, RFC 5246, RFC
// 9525. Thread: the control thread.  Tested by: tls_stream_test.cc
#pragma once

#include <openssl/types.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace har::probe {

struct FreeTls {
  void operator()(SSL_CTX* context) const;
  void operator()(SSL* connection) const;
};

// Parsing the system's bundle takes some 40 ms: a context is used until its file is to be read again.
class TlsContexts {
 public:
  // With `verify` the certificates of `ca_file` are trusted and no others (empty: the system's bundle). They are read
  // again every ten minutes; where that fails, what was read before counts on: it is no server's fault. Null when they
  // have never been read. Lives until the next call, and as long as streams use it.
  SSL_CTX* get(const std::string& ca_file, bool verify, Instant now);
  void read_again();  // each file when it is asked for next, once

 private:
  struct Kept {
    std::string ca_file;
    bool verify;
    Instant read_again_at{}, asked_for_at{};
    std::unique_ptr<SSL_CTX, FreeTls> context;
  };
  std::vector<Kept> kept_;
};

class TlsStream {
 public:
  // `host`: a name or an IP literal, for SNI and for the certificate. What the first output() holds is the beginning.
  TlsStream(SSL_CTX* context, std::string_view host);

  // Goes on with the handshake. A reason: it has failed.
  std::optional<std::string_view> shake_hands();
  bool is_secured() const { return is_secured_; }

  void receive(std::string_view octets);  // from the peer; what they hold is found by shake_hands() or read()
  void output(std::string& to_send);      // appends what the peer is to get, after each of the other calls

  // Both require: is_secured().
  enum class Read { kText, kMore, kClosed, kBroke };  // kMore: all that came has been read
  Read read(std::span<char> into, std::size_t& size);
  bool write(std::string_view text);

  void close();  // says that nothing more comes, where there is somebody to say it to

 private:
  bool has_its_name() const;

  std::unique_ptr<SSL, FreeTls> connection_;
  std::string host_;
  unsigned records_without_text_ = 0;
  bool is_secured_ = false;
  bool is_broken_ = false;
};

}  // namespace har::probe
