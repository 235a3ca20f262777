#include "base/log.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace har {
namespace {

bool is_plain(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u > 0x20 && u < 0x7F && c != '"' && c != '=' && c != '\\';
  });
}

// The octets of the UTF-8 character that `text` begins with; 0 for none, and for the control characters U+0080 to
// U+009F, which some terminals obey.
std::size_t character_size(std::string_view text) {
  const auto octet = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = octet(0);
  const std::size_t size = first >= 0xF0 && first <= 0xF4 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (first > 0xF4 || size == 0) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((octet(i) & 0xC0) != 0x80) return 0;
  }
  return first == 0xC2 && octet(1) < 0xA0 ? 0 : size;
}

void append_value(fmt::memory_buffer& line, std::string_view value) {
  if (is_plain(value)) {
    line.append(value);
    return;
  }
  line.push_back('"');
  while (!value.empty()) {
    const char c = value.front();
    const auto u = static_cast<unsigned char>(c);
    const std::size_t size = u < 0x80 ? 1 : character_size(value);
    if (c == '"' || c == '\\') {
      line.push_back('\\');
      line.push_back(c);
    } else if (u < 0x20 || u == 0x7F || size == 0) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", u);
    } else {
      line.append(value.substr(0, size));
    }
    value.remove_prefix(std::max<std::size_t>(size, 1));
  }
  line.push_back('"');
}

const char* word(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kDebug:
      return "debug";
  }
  return "info";
}

// A log that nobody reads, or a closed one, must never stop the daemon: the line is lost instead.
void write_or_lose(int fd, const char* data, std::size_t size) {
  if (send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ENOTSOCK) return;
  // The descriptor is shared with whoever started us, so it cannot be made non-blocking.
  pollfd room{fd, POLLOUT, 0};
  if (poll(&room, 1, 0) <= 0) return;
  [[maybe_unused]] const auto written = ::write(fd, data, size);
}

// A pipe that has room has room for this much: for more the writer would wait (pipe(7)). What is longer is cut.
void write_line_or_lose(int fd, fmt::memory_buffer& line) {
  if (line.size() >= PIPE_BUF) line.resize(PIPE_BUF - 1);
  line.push_back('\n');
  write_or_lose(fd, line.data(), line.size());
}

}  // namespace

Log::Log(std::string role, LogLevel level, int fd) : role_(std::move(role)), level_(level), fd_(fd) {}

void Log::error(std::string_view e, std::initializer_list<LogField> f) const { write(LogLevel::kError, e, f); }
void Log::warning(std::string_view e, std::initializer_list<LogField> f) const { write(LogLevel::kWarning, e, f); }
void Log::info(std::string_view e, std::initializer_list<LogField> f) const { write(LogLevel::kInfo, e, f); }
void Log::debug(std::string_view e, std::initializer_list<LogField> f) const { write(LogLevel::kDebug, e, f); }

void Log::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) const {
  if (level > level_.load(std::memory_order_relaxed)) return;
  fmt::memory_buffer line;
  line.append(std::string_view("level="));
  line.append(std::string_view(word(level)));
  if (!role_.empty()) {
    line.append(std::string_view(" role="));
    line.append(role_);
  }
  line.append(std::string_view(" event="));
  line.append(event);
  for (const LogField& field : fields) {
    line.push_back(' ');
    line.append(field.key);
    line.push_back('=');
    append_value(line, field.value);
  }
  write_line_or_lose(fd_, line);
}

void Log::plain(std::string_view text) const {
  fmt::memory_buffer line;
  line.append(text);
  write_line_or_lose(fd_, line);
}

}  // namespace har
