#include "probe/http_reading.h"

#include <algorithm>
#include <array>
#include <utility>

namespace har::probe {

namespace {

using health::Outcome;

constexpr std::size_t kMostHead = 64 * 1024;
constexpr std::size_t kMostBody = 64 * 1024;

constexpr std::size_t kReasonSize = 10;  // "status 500"
constexpr auto kStatusReasons = [] {
  std::array<std::array<char, kReasonSize>, 1'000> all{};
  for (unsigned status = 0; status < all.size(); ++status) {
    constexpr std::string_view kWord = "status ";
    std::copy(kWord.begin(), kWord.end(), all[status].begin());
    all[status][7] = static_cast<char>('0' + status / 100);
    all[status][8] = static_cast<char>('0' + status / 10 % 10);
    all[status][9] = static_cast<char>('0' + status % 10);
  }
  return all;
}();

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// The value of header `name` (lower case) if the line is one of those, without surrounding white space.
std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return std::nullopt;
  if (!std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) { return a == lower(b); })) {
    return std::nullopt;
  }
  line.remove_prefix(name.size() + 1);
  const auto first = line.find_first_not_of(" \t\r\n");
  if (first == line.npos) return std::string_view();
  return line.substr(first, line.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

std::string_view status_reason(unsigned status) {
  if (status >= kStatusReasons.size()) return "status out of range";
  return {kStatusReasons[status].data(), kReasonSize};
}

HttpReading::HttpReading(std::vector<config::StatusRange> expect_status, std::string expect_body)
    : expect_status_(std::move(expect_status)), expect_body_(std::move(expect_body)) {}

void HttpReading::header(std::string_view line) {
  if (verdict_) return;
  head_size_ += line.size();
  if (head_size_ > kMostHead) return fall(Outcome::kResponseError, "head too long");
  if (has_head_) return;  // trailers
  if (!in_head_) {
    in_head_ = true;
    return status_line(line);
  }
  if (line == "\r\n" || line == "\n") return end_of_head();
  // A coding that nobody asked for: no health page needs it, and its decoder would be fed by whoever answers.
  if (const auto coding = value_of(line, "transfer-encoding"); coding && !expect_body_.empty()) {
    constexpr std::string_view kChunked = "chunked";
    if (!std::equal(coding->begin(), coding->end(), kChunked.begin(), kChunked.end(),
                    [](char a, char b) { return lower(a) == b; })) {
      fall(Outcome::kResponseError, "transfer coding not supported");
    }
  }
}

void HttpReading::status_line(std::string_view line) {
  const auto space = line.find(' ');
  if (!line.starts_with("HTTP/") || space == line.npos || line.size() - space < 4 || !is_digit(line[space + 1]) ||
      !is_digit(line[space + 2]) || !is_digit(line[space + 3])) {
    return fall(Outcome::kResponseError, "not HTTP");
  }
  const auto digit = [&](std::size_t i) { return static_cast<unsigned>(line[space + i] - '0'); };
  status_ = static_cast<std::uint16_t>(digit(1) * 100 + digit(2) * 10 + digit(3));
}

void HttpReading::end_of_head() {
  in_head_ = false;
  // 101 is final: nobody asked for another protocol, and no further response comes behind it.
  if (status_ >= 100 && status_ < 200 && status_ != 101) {
    status_ = 0;
    return;
  }
  has_head_ = true;
  const bool expected = std::any_of(expect_status_.begin(), expect_status_.end(),
                                    [&](const auto& r) { return status_ >= r.first && status_ <= r.last; });
  if (!expected) return fall(Outcome::kResponseError, status_reason(status_));
  if (expect_body_.empty()) fall(Outcome::kOk, status_reason(status_));
}

void HttpReading::body(std::string_view piece) {
  if (verdict_) return;
  if (!has_head_) return fall(Outcome::kResponseError, "not HTTP");
  piece = piece.substr(0, kMostBody - body_size_);
  body_size_ += piece.size();
  tail_ += piece;
  if (tail_.find(expect_body_) != tail_.npos) return fall(Outcome::kOk, status_reason(status_));
  if (body_size_ == kMostBody) return fall(Outcome::kResponseError, "body not as expected in its first 64 KiB");
  if (tail_.size() >= expect_body_.size()) tail_.erase(0, tail_.size() - (expect_body_.size() - 1));
}

void HttpReading::end() {
  if (verdict_) return;
  if (!has_head_) return fall(Outcome::kResponseError, "no response");
  fall(Outcome::kResponseError, "body not as expected");
}

void HttpReading::broken(Verdict broken) {
  if (verdict_) return;
  verdict_ = broken;
  verdict_->status = status_;
}

}  // namespace har::probe
