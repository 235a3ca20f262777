// From the lines and chunks of an HTTP response to the verdict of a check, as early as it can fall. Pure.
// Not for: the HTTP grammar (http_wire.h), TLS and connections.
// Bounds: 64 KiB of header lines, interim responses included; 64 KiB of body, of which only the tail is kept.
// Source: SEMANTICS "Checking"; RFC 9110 15.2 (interim responses).  Thread: any.  Tested by: http_reading_test.cc
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "probe/verdict.h"

namespace har::probe {

// "status 500", static text; for what is no status "status out of range".
std::string_view status_reason(unsigned status);

class HttpReading {
 public:
  HttpReading(std::vector<config::StatusRange> expect_status, std::string expect_body);

  // One line of a head, its line end included, and a piece of the body. After the verdict has fallen they do nothing.
  void header(std::string_view line);
  void body(std::string_view piece);
  // The response ended in order / was broken off: decides what is still open. `broken` is what to say of the latter.
  void end();
  void broken(Verdict broken);

  const std::optional<Verdict>& verdict() const { return verdict_; }
  bool has_head() const { return has_head_; }

 private:
  void status_line(std::string_view line);
  void end_of_head();
  void fall(health::Outcome outcome, std::string_view reason) { verdict_ = Verdict{outcome, status_, reason}; }

  std::vector<config::StatusRange> expect_status_;
  std::string expect_body_;
  std::optional<Verdict> verdict_;
  std::uint16_t status_ = 0;
  bool in_head_ = false;
  bool has_head_ = false;  // the final response's
  std::size_t head_size_ = 0;
  std::size_t body_size_ = 0;
  std::string tail_;  // of the body: what may be the beginning of a match
};

}  // namespace har::probe
