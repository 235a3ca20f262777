#include "app/handover.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "net/channel.h"
#include "net/memory.h"

namespace har::app {
namespace {

constexpr std::uint64_t kFormat = 1;
constexpr std::size_t kLargest = 1 << 20;

void put(net::Packer& out, const IpPort& at) {
  out.text({reinterpret_cast<const char*>(at.ip.bytes.data()), at.ip.size()}).number(at.port).number(at.scope);
}

IpPort get_address(net::Unpacker& in) {
  const std::string bytes = in.text();
  IpPort at;
  at.ip.family = bytes.size() == 4 ? Family::kV4 : Family::kV6;
  std::memcpy(at.ip.bytes.data(), bytes.data(), std::min(bytes.size(), at.ip.bytes.size()));
  at.port = static_cast<std::uint16_t>(in.number());
  at.scope = static_cast<std::uint32_t>(in.number());
  return at;
}

// Only what is open is taken: a wrong number must not close a stranger later.
net::Fd get_fd(net::Unpacker& in, bool& all_open) {
  const int number = static_cast<int>(in.number());
  if (!in.ok() || fcntl(number, F_GETFD) < 0) {
    all_open = false;
    return {};
  }
  return net::Fd(number);
}

void set_flag(int fd, bool close_on_exec) {
  if (fd >= 0) fcntl(fd, F_SETFD, close_on_exec ? FD_CLOEXEC : 0);
}

}  // namespace

void Handover::set_close_on_exec(bool on) const {
  for (const auto& bound : active.bound) {
    for (const net::Fd& udp : bound->udp) set_flag(udp.get(), on);
    set_flag(bound->tcp.get(), on);
  }
  for (const net::Fd* fd : {&active.table, &active.counters, &bundle}) set_flag(fd->get(), on);
  for (const Process& process : {checker, answerer}) set_flag(process.channel, on);
}

Result<int> Handover::leave() const {
  net::Packer out;
  out.number(kFormat).number(generation).number(ready ? 1 : 0);
  out.number(active.workers).number(active.names).text(active.user);
  out.number(static_cast<std::uint64_t>(active.log_level));
  for (const net::Fd* fd : {&active.table, &active.counters, &bundle})
    out.number(static_cast<std::uint64_t>(fd->get()));
  for (const Process& process : {checker, answerer}) {
    out.number(static_cast<std::uint64_t>(process.pid)).number(static_cast<std::uint64_t>(process.channel));
  }
  out.number(active.bound.size());
  for (const auto& bound : active.bound) {
    put(out, bound->at);
    out.number(bound->udp.size());
    for (const net::Fd& udp : bound->udp) out.number(static_cast<std::uint64_t>(udp.get()));
    out.number(static_cast<std::uint64_t>(bound->tcp.get()));
  }
  const auto memory = net::text_to_memory("har-handover", out.body());
  if (!memory) return tl::unexpected(memory.error());
  const int number = fcntl(memory->get(), F_DUPFD, 0);  // without the flag
  if (number < 0) return failure(fmt::format("dup: {}", strerrordesc_np(errno)));
  set_close_on_exec(false);
  return number;
}

void Handover::keep() const { set_close_on_exec(true); }

Result<Handover> Handover::take(int number) {
  if (fcntl(number, F_GETFD) < 0) return failure("handover: the descriptor is not open");
  const net::Fd memory(number);
  const auto text = net::memory_to_text(memory, kLargest);
  if (!text) return tl::unexpected(text.error());
  net::Unpacker in(*text);
  if (in.number() != kFormat) return failure("handover: of another format");
  Handover out;
  bool all_open = true;
  out.generation = in.number();
  out.ready = in.number() != 0;
  out.active.workers = static_cast<std::uint32_t>(in.number());
  out.active.names = static_cast<std::uint32_t>(in.number());
  out.active.user = in.text();
  out.active.log_level = static_cast<LogLevel>(in.number());
  for (net::Fd* fd : {&out.active.table, &out.active.counters, &out.bundle}) *fd = get_fd(in, all_open);
  for (Process* process : {&out.checker, &out.answerer}) {
    process->pid = static_cast<pid_t>(in.number());
    process->channel = static_cast<int>(in.number());
  }
  const std::uint64_t addresses = in.number();
  for (std::uint64_t i = 0; i < addresses && in.ok() && all_open; ++i) {
    auto bound = std::make_shared<Bound>();
    bound->at = get_address(in);
    const std::uint64_t sockets = in.number();
    for (std::uint64_t s = 0; s < sockets && in.ok() && all_open; ++s) bound->udp.push_back(get_fd(in, all_open));
    bound->tcp = get_fd(in, all_open);
    out.active.bound.push_back(std::move(bound));
  }
  if (!in.ok() || !all_open) return failure("handover: malformed");
  out.set_close_on_exec(true);
  return out;
}

}  // namespace har::app
