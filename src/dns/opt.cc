#include "dns/opt.h"

#include "dns/types.h"
#include "dns/writer.h"

namespace har::dns {
namespace {

constexpr std::size_t kOptionHead = 4;

// False: there is one, or the options do not add up.
bool lacks_cookie(std::span<const std::uint8_t> options) {
  Reader reader(options);
  while (reader.left() > 0) {
    if (reader.u16() == kOptionCookie) return false;
    reader.bytes(reader.u16());
  }
  return !reader.failed();
}

}  // namespace

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

std::size_t add_cookie(std::span<const std::uint8_t> reply, std::span<const std::uint8_t> cookie,
                       std::span<std::uint8_t> out) {
  const auto opt = find_opt(reply);
  const auto version = static_cast<std::uint8_t>(opt ? opt->record.ttl >> 16 : 0);
  if (!opt || !opt->is_last || version != 0 || !lacks_cookie(opt->record.data)) return 0;
  const std::size_t option = kOptionHead + cookie.size();
  const std::size_t data_size = opt->record.data.size() + option;
  if (data_size > 0xFFFF || reply.size() > out.size() || out.size() - reply.size() < option) return 0;
  Writer writer(out);
  writer.bytes(reply);
  writer.patch_u16(opt->record.data_position - 2, static_cast<std::uint16_t>(data_size));
  writer.u16(kOptionCookie);
  writer.u16(static_cast<std::uint16_t>(cookie.size()));
  writer.bytes(cookie);
  return writer.size();
}

}  // namespace har::dns
