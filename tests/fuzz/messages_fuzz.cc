// What the keeper takes from a checker, and a checker from the disk: Prepare and the bundle of an accepted
// configuration. (The checker speaks with whoever answers a probe; the keeper must not have to trust it.) Input: one
// octet chooses, then the body of a Prepare, raw or as 64-bit fields of an octet or eight each, or the text of a
// bundle. Holds: what is accepted keeps to its limits and says the same when it is packed and unpacked again.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "app/bundle.h"
#include "app/messages.h"
#include "base/assert.h"

namespace har::app {
namespace {

bool same(const Prepare& a, const Prepare& b) {
  const auto same_address = [](const Prepare::Address& x, const Prepare::Address& y) {
    return x.at == y.at && x.optional == y.optional;
  };
  return a.workers == b.workers && a.names == b.names && a.table_bytes == b.table_bytes &&
         a.counter_bytes == b.counter_bytes && a.user == b.user && a.log_level == b.log_level &&
         std::equal(a.addresses.begin(), a.addresses.end(), b.addresses.begin(), b.addresses.end(), same_address);
}

void try_prepare(const std::string& body) {
  Prepare got;
  if (!Prepare::unpack(body, got)) return;
  HAR_ASSERT(got.workers >= 1 && got.workers <= Prepare::kMaxWorkers);
  HAR_ASSERT(got.addresses.size() <= Prepare::kMaxAddresses && got.log_level <= LogLevel::kDebug);
  for (const Prepare::Address& address : got.addresses) {
    const IpAddress& ip = address.at.ip;
    HAR_ASSERT(ip.family == Family::kV4 || ip.family == Family::kV6);
    HAR_ASSERT(IpAddress::parse(ip.to_string()) == ip);  // nothing behind an IPv4 address
  }
  Prepare again;
  HAR_ASSERT(Prepare::unpack(got.pack(), again) && same(got, again));
}

// Small numbers are an octet, texts are an octet of length and their octets: the way past the first checks is short.
std::string prepare_from(std::string_view input) {
  net::Packer out;
  const auto next = [&input]() -> std::uint64_t {
    if (input.empty()) return 0;
    const auto octet = static_cast<std::uint8_t>(input[0]);
    input.remove_prefix(1);
    if (octet < 250) return octet;
    std::uint64_t large = 0;
    for (std::size_t i = 0; i < 8 && i < input.size(); ++i) large = large << 8 | static_cast<std::uint8_t>(input[i]);
    input.remove_prefix(std::min<std::size_t>(8, input.size()));
    return large;
  };
  const auto text = [&](std::uint64_t size) {
    const std::string_view piece = input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(size, 255)));
    input.remove_prefix(piece.size());
    out.text(piece);
  };
  for (int i = 0; i < 4; ++i) out.number(next());
  text(next());
  out.number(next());
  const std::uint64_t addresses = next();
  out.number(addresses);
  for (std::uint64_t i = 0; i < addresses && !input.empty(); ++i) {
    out.number(next());
    text(16);
    for (int fields = 0; fields < 3; ++fields) out.number(next());
  }
  return out.body();
}

void try_bundle(std::string_view text) {
  const auto got = Bundle::parse(text);
  if (!got) return;
  HAR_ASSERT(!got->main_path.empty() && !got->files.empty());
  const auto again = Bundle::parse(got->to_text());
  HAR_ASSERT(again && again->main_path == got->main_path && again->variables == got->variables);
  HAR_ASSERT(again->files.size() == got->files.size());
  for (std::size_t i = 0; i < got->files.size(); ++i) {
    HAR_ASSERT(again->files[i].path == got->files[i].path && again->files[i].text == got->files[i].text);
  }
}

}  // namespace
}  // namespace har::app

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      har::app::try_prepare(std::string(rest));
      break;
    case 1:
      har::app::try_prepare(har::app::prepare_from(rest));
      break;
    case 2:
      har::app::try_bundle(rest);
      break;
  }
  return 0;
}
