// HTTP/1.1 as far as a check needs it: the request as text, and the response's bytes cut into the lines
// and the body that HttpReading judges. Pure.
// Not for: what a response means (http_reading.h); TLS and sockets (tls_stream.h, http_exchange.h).
// Bounds: those of HttpReading; a line that does not end is no longer than its head; a chunk's first line 1 KiB.
// Why not libcurl: doc/decisions/0007.  Source: RFC 9110, RFC 9112.  Thread: any.
// Tested by: http_wire_test.cc, tests/fuzz/http_fuzz.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"
#include "probe/http_reading.h"

namespace har::probe {

// For the Host header, for SNI and for the certificate: a name or an IP literal without brackets.
inline const std::string& asked_host(const config::Check& check) {
  return check.http_host.empty() ? check.host : check.http_host;
}

// Host, path and headers are sent as they are. requires: they are as config::load leaves them, which accepts nothing
// that would have to be escaped.
std::string request_text(const config::Check& check);

class HttpWire {
 public:
  explicit HttpWire(HttpReading reading) : reading_(std::move(reading)) {}

  // The next bytes, cut anywhere. What comes after the verdict is not looked at.
  void feed(std::string_view bytes);
  void closed();                                          // by the peer, in order
  void broke(std::string_view why = "connection broke");  // otherwise; static text

  const std::optional<Verdict>& verdict() const { return reading_.verdict(); }
  bool has_head() const { return reading_.has_head(); }

 private:
  enum class Place : std::uint8_t { kStatus, kHeaders, kUntilClose, kLength, kChunkSize, kChunk, kChunkEnd, kOver };

  std::optional<std::string_view> take_line(std::string_view& bytes);
  void head_line(std::string_view line);
  void header(std::string_view line);
  void end_of_head();
  void chunk_size(std::string_view line);
  void body(std::string_view& bytes);
  void end();
  void malformed(std::string_view reason);

  HttpReading reading_;
  Place place_ = Place::kStatus;
  std::string line_;  // the beginning of one whose end has not come
  unsigned status_ = 0;
  bool chunked_ = false;
  std::optional<std::uint64_t> length_;
  std::uint64_t left_ = 0;  // of the body, or of its chunk
};

}  // namespace har::probe
