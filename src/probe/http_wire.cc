#include "probe/http_wire.h"

#include <algorithm>
#include <charconv>

namespace har::probe {

namespace {

constexpr std::size_t kLongestLine = 64 * 1024;
constexpr std::size_t kLongestChunkLine = 1'024;
constexpr std::string_view kBegin = "HTTP/1.";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

std::string request_text(const config::Check& check) {
  const std::string& host = asked_host(check);
  const auto ip = IpAddress::parse(host);
  const bool is_v6 = ip && ip->family == Family::kV6;
  const std::string_view path = check.http->path.empty() ? std::string_view("/") : std::string_view(check.http->path);
  std::string text;
  text.reserve(256);
  text.append("GET ").append(path).append(" HTTP/1.1\r\n");
  // A header of the configuration takes the place of ours.
  const auto add = [&](std::string_view name, std::string_view value) {
    const auto is_it = [&](std::string_view line) { return same(line.substr(0, line.find(':')), name); };
    if (std::any_of(check.http->headers.begin(), check.http->headers.end(), is_it)) return;
    text.append(name).append(": ").append(value).append("\r\n");
  };
  std::string authority = is_v6 ? "[" + host + "]" : host;
  if (check.port != (check.method == config::CheckMethod::kHttps ? 443 : 80))
    authority.append(":").append(std::to_string(check.port));
  add("Host", authority);
  add("User-Agent", "har/" HAR_VERSION);
  add("Accept", "*/*");
  for (const std::string& line : check.http->headers) text.append(line).append("\r\n");
  return text.append("\r\n");
}

void HttpWire::feed(std::string_view bytes) {
  while (!bytes.empty() && !verdict() && place_ != Place::kOver) {
    if (place_ == Place::kUntilClose || place_ == Place::kLength || place_ == Place::kChunk) {
      body(bytes);
      continue;
    }
    const auto line = take_line(bytes);
    if (!line) break;
    if (place_ == Place::kChunkSize) {
      chunk_size(*line);
    } else if (place_ == Place::kChunkEnd) {
      place_ = Place::kChunkSize;
      if (!trimmed(*line).empty()) malformed("body malformed");
    } else {
      head_line(*line);
    }
    line_.clear();
  }
}

// The next line with its end; nothing when that has not come, and then all bytes are kept.
std::optional<std::string_view> HttpWire::take_line(std::string_view& bytes) {
  const auto end = bytes.find('\n');
  const std::string_view piece = bytes.substr(0, end == bytes.npos ? end : end + 1);
  bytes.remove_prefix(piece.size());
  const bool is_head = place_ == Place::kStatus || place_ == Place::kHeaders;
  if (line_.size() + piece.size() > (is_head ? kLongestLine : kLongestChunkLine)) {
    malformed(is_head ? "head too long" : "body malformed");
    return std::nullopt;
  }
  if (end != bytes.npos && line_.empty()) return piece;
  line_ += piece;
  if (end != bytes.npos) return line_;
  // Who speaks another protocol may wait for an answer before he ends his line.
  const std::size_t known = std::min(line_.size(), kBegin.size());
  if (place_ == Place::kStatus && line_.compare(0, known, kBegin, 0, known) != 0) malformed("not HTTP");
  return std::nullopt;
}

void HttpWire::head_line(std::string_view line) {
  if (line.find('\0') != line.npos) return malformed("not HTTP");
  if (place_ == Place::kStatus) {
    // "HTTP/1.1 200 OK", or without the words
    const bool fits = line.size() >= 13 && line.starts_with(kBegin) && is_digit(line[7]) && line[8] == ' ' &&
                      is_digit(line[9]) && is_digit(line[10]) && is_digit(line[11]) && !is_digit(line[12]);
    if (!fits) return malformed("not HTTP");
    status_ = static_cast<unsigned>(line[9] - '0') * 100 + static_cast<unsigned>(line[10] - '0') * 10 +
              static_cast<unsigned>(line[11] - '0');
    chunked_ = false;
    length_.reset();
    place_ = Place::kHeaders;
    return reading_.header(line);
  }
  const bool is_end = line == "\r\n" || line == "\n";
  if (!is_end) header(line);
  reading_.header(line);
  if (is_end && !verdict()) end_of_head();
}

void HttpWire::header(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return;  // goes on with the one before: none of ours is so long
  const auto colon = line.find(':');
  if (colon == line.npos) return malformed("not HTTP");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (same(name, "transfer-encoding")) chunked_ = true;  // another coding: HttpReading refuses it
  if (!same(name, "content-length")) return;
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (error != std::errc() || end != value.data() + value.size()) return malformed("not HTTP");
  length_ = length;
}

void HttpWire::end_of_head() {
  if (!has_head()) {
    place_ = Place::kStatus;  // that was an interim response
  } else if (status_ == 204 || status_ == 304) {
    end();
  } else if (chunked_) {
    place_ = Place::kChunkSize;
  } else if (length_) {
    place_ = Place::kLength;
    left_ = *length_;
    if (left_ == 0) end();
  } else {
    place_ = Place::kUntilClose;
  }
}

void HttpWire::chunk_size(std::string_view line) {
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  const std::string_view rest = line.substr(static_cast<std::size_t>(end - line.data()));
  if (error != std::errc() || !(rest.starts_with(';') || trimmed(rest).empty())) return malformed("body malformed");
  place_ = Place::kChunk;
  left_ = size;
  if (size == 0) this->end();  // trailers say nothing of a check
}

void HttpWire::body(std::string_view& bytes) {
  std::string_view piece = bytes;
  if (place_ != Place::kUntilClose) piece = piece.substr(0, std::min<std::uint64_t>(left_, piece.size()));
  bytes.remove_prefix(piece.size());
  reading_.body(piece);
  if (place_ == Place::kUntilClose) return;
  left_ -= piece.size();
  if (left_ > 0) return;
  if (place_ == Place::kChunk) {
    place_ = Place::kChunkEnd;
  } else {
    end();
  }
}

void HttpWire::end() {
  place_ = Place::kOver;
  reading_.end();
}

void HttpWire::closed() {
  const bool is_open = place_ == Place::kStatus || place_ == Place::kHeaders || place_ == Place::kUntilClose;
  if (is_open) return end();
  malformed("body cut short");
}

void HttpWire::broke(std::string_view why) { malformed(why); }

void HttpWire::malformed(std::string_view reason) {
  place_ = Place::kOver;
  reading_.broken({health::Outcome::kResponseError, 0, reason});
}

}  // namespace har::probe
