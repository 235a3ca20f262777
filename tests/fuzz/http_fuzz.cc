// What a web server may say to a check of plain http, or https behind the TLS. Input: one octet says what is expected
// and how the input is read, one how it is cut; then the response, raw or described (Described).
// Holds: any bytes, cut anywhere, end in the same verdict, and in one; an early verdict is the last one, and what comes
// behind it changes nothing; a described response gets the verdict that its description has by RFC 9112, whatever the
// coding of its body.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "health/observation.h"
#include "input.h"
#include "probe/http_wire.h"

namespace har::probe {
namespace {

using Octets = std::span<const std::uint8_t>;

constexpr std::string_view kExpected[] = {"ok", "", "aab", "o"};

HttpWire wire(std::uint8_t choice) {
  return HttpWire(HttpReading({{200, 299}}, std::string(kExpected[choice % std::size(kExpected)])));
}

bool same(const Verdict& a, const Verdict& b) {
  return a.outcome == b.outcome && a.status == b.status && a.reason == b.reason;
}

// The verdict of the response in pieces; `cut` 0: in one.
Verdict read(std::uint8_t choice, std::string_view response, std::uint8_t cut) {
  HttpWire reading = wire(choice);
  std::uint32_t dice = cut;
  while (!response.empty()) {
    dice = dice * 1'103'515'245 + 12'345;
    // Small pieces by even numbers, of one size or of many; odd ones also make large pieces.
    const std::size_t most = cut % 2 == 0 ? 1 + cut / 2 % 16 : 4'000;
    const std::size_t size = cut == 0 ? response.size() : cut >= 128 ? 1 + (dice >> 16) % most : most;
    reading.feed(response.substr(0, size));
    response.remove_prefix(std::min(size, response.size()));
    if (!reading.verdict()) continue;
    const Verdict early = *reading.verdict();
    reading.feed(response);
    reading.closed();
    reading.broke();
    HAR_ASSERT(same(early, *reading.verdict()));
    return early;
  }
  reading.closed();
  HAR_ASSERT(reading.verdict());
  return *reading.verdict();
}

// A response that keeps to the grammar, and what it means.
struct Described {
  explicit Described(Input& input) {
    constexpr std::string_view kEnds[] = {"\r\n", "\n"};
    constexpr unsigned kStatuses[] = {200, 204, 206, 299, 301, 304, 404, 500};
    const std::uint8_t form = input.next();
    const std::string end(kEnds[form % 2]);
    for (int interim = form / 2 % 4; interim > 0; --interim) {
      text += "HTTP/1.1 " + std::string(interim == 1 ? "100" : "103") + " x" + end + "Link: <" +
              std::string(input.next(), 'l') + ">" + end + end;
    }
    status = kStatuses[form / 8 % 8];
    text += "HTTP/1.1 " + std::to_string(status) + (form >= 128 ? "" : " Words, one or more") + end;
    const std::uint8_t coding = input.next();
    for (int headers = coding / 4 % 8; headers > 0; --headers) {
      const std::uint8_t length = input.next();
      text += "X-" + std::string(length, 'h') + ":" + std::string(static_cast<std::size_t>(headers % 3), ' ') +
              std::string(length % 4 == 3 ? 9'300 : 1, 'v') + end;
    }
    is_chunked = coding % 4 >= 2;
    // A length beside the coding is not looked at (RFC 9112 6.3).
    const bool has_length = coding % 4 == 1 || coding % 4 == 3;
    std::string coded;
    while (!input.empty() && body.size() < 160'000) {
      std::string piece;
      const std::uint8_t repeat = input.next();
      const std::string_view some = input.take_text(repeat % 32);
      for (int times = repeat >= 224 ? 600 : 1 + repeat / 128; times > 0; --times) piece += some;
      body += piece;
      if (!is_chunked || piece.empty()) continue;
      char size[32];
      std::snprintf(size, sizeof size, repeat % 2 == 0 ? "%zx" : "0%zX;n=v", piece.size());
      coded += size + end + piece + end;
    }
    if (is_chunked) {
      text += "Transfer-Encoding: chunked" + end;
      coded += "0" + end + end;
    } else {
      coded = body;
    }
    if (has_length) text += "content-LENGTH: " + std::to_string(is_chunked ? 1 : body.size()) + end;
    text += end;
    head_size = text.size();
    text += coded;
  }

  bool is_ok(std::string_view wanted) const {
    if (status < 200 || status > 299 || head_size > 64 * 1024) return false;
    if (wanted.empty()) return true;
    if (status == 204) return false;  // no body, whatever follows
    return body.substr(0, 64 * 1024).find(wanted) != std::string::npos;
  }

  unsigned status = 0;
  std::size_t head_size = 0;  // interim responses included
  bool is_chunked = false;
  std::string body;
  std::string text;
};

void check(std::uint8_t choice, std::uint8_t cut, std::string_view response, const Described* described) {
  const Verdict whole = read(choice, response, 0);
  HAR_ASSERT(same(whole, read(choice, response, cut)));
  HAR_ASSERT(whole.outcome == health::Outcome::kOk || whole.outcome == health::Outcome::kResponseError);
  HAR_ASSERT(!whole.reason.empty());
  if (whole.outcome == health::Outcome::kOk) HAR_ASSERT(whole.status >= 200 && whole.status <= 299);
  if (described == nullptr) return;
  HAR_ASSERT(whole.status == described->status || described->head_size > 64 * 1024);
  HAR_ASSERT((whole.outcome == health::Outcome::kOk) == described->is_ok(kExpected[choice % std::size(kExpected)]));
}

}  // namespace
}  // namespace har::probe

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace har::probe;
  if (size < 2) return 0;
  har::Input input({data + 2, size - 2});
  if (data[0] < 128) {
    check(data[0], data[1], input.take_text(size), nullptr);
  } else {
    const Described described(input);
    check(data[0], data[1], described.text, &described);
  }
  return 0;
}
