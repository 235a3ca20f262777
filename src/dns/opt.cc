#include "dns/opt.h"

#include "dns/cookie.h"
#include "dns/types.h"
#include "dns/writer.h"

namespace har::dns {
namespace {

bool is_version_0(const RecordHead& opt) { return static_cast<std::uint8_t>(opt.ttl >> 16) == 0; }

}  // namespace

Options read_options(std::span<const std::uint8_t> data) {
  Options options;
  Reader reader(data);
  while (reader.left() > 0) {  // each turn takes four octets or fails
    const std::uint16_t code = reader.u16();
    const auto option = reader.bytes(reader.u16());
    if (reader.failed()) {
      options = {};
      options.malformed = true;
      return options;
    }
    if (code != kOptionCookie) continue;
    options.has_cookie = true;
    if (options.cookie.empty() && is_cookie(option)) options.cookie = option;
  }
  return options;
}

std::optional<FoundOpt> find_opt(std::span<const std::uint8_t> message) {
  Reader reader(message);
  reader.u32();  // ID and flags
  const std::size_t questions = reader.u16();
  std::size_t records = reader.u16();
  records += reader.u16();
  records += reader.u16();
  for (std::size_t i = 0; i < questions && !reader.failed(); ++i) {
    reader.skip_name();
    reader.u32();
  }
  for (std::size_t i = 0; i < records; ++i) {
    reader.skip_name();
    const RecordHead record = read_record(reader);
    if (reader.failed()) return std::nullopt;
    if (record.type == kTypeOpt) return FoundOpt{record, i + 1 == records && reader.left() == 0};
  }
  return std::nullopt;
}

bool gives_cookie(const FoundOpt& opt) {
  return is_version_0(opt.record) && has_servers_part(read_options(opt.record.data).cookie);
}

std::size_t add_cookie(std::span<const std::uint8_t> reply, const FoundOpt& opt, std::span<const std::uint8_t> cookie,
                       std::span<std::uint8_t> out) {
  if (!opt.is_last || !is_version_0(opt.record)) return 0;
  if (const Options options = read_options(opt.record.data); options.malformed || options.has_cookie) return 0;
  const std::size_t option = cookie_back_size(cookie);
  const std::size_t data_size = opt.record.data.size() + option;
  if (data_size > 0xFFFF || reply.size() > out.size() || out.size() - reply.size() < option) return 0;
  Writer writer(out);
  writer.bytes(reply);
  writer.patch_u16(opt.record.data_position - 2, static_cast<std::uint16_t>(data_size));
  write_cookie_back(writer, cookie);
  return writer.size();
}

}  // namespace har::dns
