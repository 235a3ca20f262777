#include "app/messages.h"

#include <cstring>

namespace har::app {

std::string Prepare::pack() const {
  net::Packer out;
  out.number(workers).number(names).number(table_bytes).number(counter_bytes).text(user);
  out.number(static_cast<std::uint64_t>(log_level)).number(addresses.size());
  for (const Address& address : addresses) {
    out.number(address.at.ip.family == Family::kV4 ? 4 : 6);
    out.text({reinterpret_cast<const char*>(address.at.ip.bytes.data()), address.at.ip.bytes.size()});
    out.number(address.at.port).number(address.at.scope).number(address.optional ? 1 : 0);
  }
  return out.body();
}

bool Prepare::unpack(const std::string& body, Prepare& out) {
  net::Unpacker in(body);
  out = Prepare{};
  const std::uint64_t workers = in.number();
  const std::uint64_t names = in.number();
  out.table_bytes = in.number();
  out.counter_bytes = in.number();
  out.user = in.text();
  const std::uint64_t level = in.number();
  const std::uint64_t count = in.number();
  if (!in.ok() || workers == 0 || workers > kMaxWorkers || names > UINT32_MAX || count > kMaxAddresses ||
      level > static_cast<std::uint64_t>(LogLevel::kDebug)) {
    return false;
  }
  out.log_level = static_cast<LogLevel>(level);
  out.workers = static_cast<std::uint32_t>(workers);
  out.names = static_cast<std::uint32_t>(names);
  for (std::uint64_t i = 0; i < count; ++i) {
    Address address;
    address.at.ip.family = in.number() == 4 ? Family::kV4 : Family::kV6;
    const std::string bytes = in.text();
    if (bytes.size() != address.at.ip.bytes.size()) return false;
    std::memcpy(address.at.ip.bytes.data(), bytes.data(), address.at.ip.size());  // behind an IPv4 address is zero
    address.at.port = static_cast<std::uint16_t>(in.number());
    address.at.scope = static_cast<std::uint32_t>(in.number());
    address.optional = in.number() != 0;
    out.addresses.push_back(address);
  }
  return in.ok() && in.at_end();
}

}  // namespace har::app
