#include "dns/opt.h"

#include "dns/cookie.h"
#include "dns/types.h"
#include "dns/writer.h"

namespace har::dns {
namespace {

// The first COOKIE among the options. Nothing where they do not add up before it.
std::optional<std::span<const std::uint8_t>> find_cookie(std::span<const std::uint8_t> options) {
  Reader reader(options);
  while (reader.left() > 0) {
    const std::uint16_t code = reader.u16();
    const auto option = reader.bytes(reader.u16());
    if (code == kOptionCookie && !reader.failed()) return option;
  }
  return std::nullopt;
}

bool add_up(std::span<const std::uint8_t> options) {
  Reader reader(options);
  while (reader.left() > 0) {
    reader.u16();
    reader.bytes(reader.u16());
  }
  return !reader.failed();
}

bool is_version_0(const RecordHead& opt) { return static_cast<std::uint8_t>(opt.ttl >> 16) == 0; }

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

bool gives_cookie(std::span<const std::uint8_t> reply) {
  const auto opt = find_opt(reply);
  if (!opt || !is_version_0(opt->record)) return false;
  const auto cookie = find_cookie(opt->record.data);
  return cookie && has_servers_part(*cookie);
}

std::size_t add_cookie(std::span<const std::uint8_t> reply, std::span<const std::uint8_t> cookie,
                       std::span<std::uint8_t> out) {
  const auto opt = find_opt(reply);
  if (!opt || !opt->is_last || !is_version_0(opt->record)) return 0;
  if (find_cookie(opt->record.data) || !add_up(opt->record.data)) return 0;
  const std::size_t option = cookie_back_size(cookie);
  const std::size_t data_size = opt->record.data.size() + option;
  if (data_size > 0xFFFF || reply.size() > out.size() || out.size() - reply.size() < option) return 0;
  Writer writer(out);
  writer.bytes(reply);
  writer.patch_u16(opt->record.data_position - 2, static_cast<std::uint16_t>(data_size));
  write_cookie_back(writer, cookie);
  return writer.size();
}

}  // namespace har::dns
