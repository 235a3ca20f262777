// What a web server may say to a check of plain http: any bytes, cut anywhere, must end in the same verdict, and the
// reading must never go beyond its bounds. The first two octets say what is expected and how the rest is cut.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "probe/http_wire.h"

namespace {

using har::probe::HttpReading;
using har::probe::HttpWire;

HttpWire wire(std::uint8_t choice) { return HttpWire(HttpReading({{200, 299}}, (choice & 1U) != 0 ? "" : "ok")); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view response(reinterpret_cast<const char*>(data) + 2, size - 2);
  HttpWire whole = wire(data[0]);
  whole.feed(response);
  whole.closed();
  HttpWire cut = wire(data[0]);
  const std::size_t step = 1 + data[1] % 16;
  for (std::size_t at = 0; at < response.size() && !cut.verdict(); at += step) cut.feed(response.substr(at, step));
  cut.closed();
  if (!whole.verdict() || !cut.verdict()) std::abort();
  if (whole.verdict()->outcome != cut.verdict()->outcome || whole.verdict()->reason != cut.verdict()->reason) {
    std::abort();
  }
  return 0;
}
