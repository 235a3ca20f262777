// One line an event, `event=NAME key=value ...`, to standard error. Changes only, never a line a packet.
// A line that the log does not take at once is lost, and one of more than 4,096 octets (PIPE_BUF) is cut: nobody ever
// waits for the log.
// Thread: any; a line is one write(2), so lines never mix.  Tested by: log_test.cc
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace har {

enum class LogLevel { kError, kWarning, kInfo, kDebug };

// One key=value pair. Values with spaces, quotes, '=', control characters or what is no UTF-8 are written as a quoted,
// escaped string: nothing that comes from outside begins another line or field, or moves a terminal's cursor.
struct LogField {
  std::string_view key;
  std::string value;

  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  template <class T>
  requires std::is_arithmetic_v<T> LogField(std::string_view k, T v) : key(k), value(fmt::format("{}", v)) {}
};

// Where a part writes its events. Parts receive a const Log& from whoever builds them: there is no global logger.
class Log {
 public:
  // `role` is written as a first field (role=checker); empty: left out. `fd` is borrowed.
  explicit Log(std::string role = {}, LogLevel level = LogLevel::kInfo, int fd = 2);
  Log(const Log& other) : role_(other.role_), level_(other.level_.load()), fd_(other.fd_) {}
  Log& operator=(const Log&) = delete;

  void error(std::string_view event, std::initializer_list<LogField> fields = {}) const;
  void warning(std::string_view event, std::initializer_list<LogField> fields = {}) const;
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) const;
  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) const;
  // A line for the person who looks, without level and fields, whatever the level is.
  void plain(std::string_view line) const;

  void set_level(LogLevel level) { level_ = level; }

 private:
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) const;

  std::string role_;
  std::atomic<LogLevel> level_;  // one thread sets it, all read it
  int fd_;
};

}  // namespace har
