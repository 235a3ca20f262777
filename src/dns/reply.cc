#include "dns/reply.h"

#include <algorithm>

#include "base/assert.h"
#include "dns/cookie.h"

namespace har::dns {

namespace {

constexpr std::uint16_t kToQuestionName = 0xC000 | kHeaderSize;  // compression pointer, RFC 1035 4.1.4
constexpr std::uint16_t kOpcodeMask = 0x7800;
constexpr std::size_t kOptSize = 11;
constexpr std::string_view kHostmaster = "\x0Ahostmaster";

// What secondaries would use; nobody transfers these "zones", so they only have to be plausible (RFC 1912 2.2).
constexpr std::uint32_t kSoaSerial = 1;
constexpr std::uint32_t kSoaRefresh = 3600;
constexpr std::uint32_t kSoaRetry = 600;
constexpr std::uint32_t kSoaExpire = 86'400;

}  // namespace

std::size_t udp_limit(const Query& query) {
  if (!query.edns.present) return kMinUdpReply;
  return std::clamp<std::size_t>(query.edns.udp_size, kMinUdpReply, kMaxUdpReply);
}

Reply::Reply(const Query& query, Rcode rcode, Authority authority, std::size_t limit, std::span<std::uint8_t> out)
    : writer_(out),
      limit_(std::min(std::max(limit, kMinUdpReply), std::min(out.size(), kMaxMessage))),
      name_size_(query.name.size()),
      flags_(static_cast<std::uint16_t>(kQr | kRa | (query.flags & (kOpcodeMask | kRd | kCd)) | (rcode & 0xF) |
                                        (authority == kAuthoritative ? kAa : 0))),
      rcode_(rcode),
      opt_(query.edns.present),
      dnssec_ok_(query.edns.dnssec_ok),
      cookie_(query.edns.cookie) {
  HAR_ASSERT(out.size() >= kMinUdpReply);
  HAR_ASSERT(query.status != Query::Status::kNoQuery);
  HAR_ASSERT(rcode <= 0xF || opt_);
  writer_.set_limit(limit_ - (opt_ ? kOptSize + cookie_size() : 0));
  writer_.u16(query.id);
  for (int i = 0; i < 5; ++i) writer_.u16(0);  // flags and counts: finish() knows them
  if (!query.question.empty()) {
    writer_.bytes(query.question);  // at most 259 octets: always fits
    questions_ = 1;
  }
}

std::size_t Reply::cookie_size() const { return cookie_back_size(cookie_); }

// One record that does not fit ends the adding: a smaller one behind it must not slip in, the order is the ranking.
void Reply::keep_or_drop(std::size_t start, std::uint16_t& count) {
  if (!writer_.failed()) {
    ++count;
    return;
  }
  writer_.go_back(start);
  truncated_ = true;
}

void Reply::add_address(Family family, const std::uint8_t* octets, std::uint32_t ttl) {
  HAR_ASSERT(questions_ == 1 && authorities_ == 0);
  if (truncated_) return;
  const std::size_t start = writer_.mark();
  const std::uint16_t size = family == Family::kV4 ? 4 : 16;
  writer_.u16(kToQuestionName);
  writer_.u16(family == Family::kV4 ? kTypeA : kTypeAaaa);
  writer_.u16(kClassIn);
  writer_.u32(ttl);
  writer_.u16(size);
  writer_.bytes({octets, size});
  keep_or_drop(start, answers_);
}

void Reply::add_soa(std::uint32_t ttl, std::size_t skip) {
  HAR_ASSERT(questions_ == 1 && skip < name_size_);
  if (truncated_) return;
  const std::size_t start = writer_.mark();
  const auto to_owner = static_cast<std::uint16_t>(kToQuestionName + skip);
  // hostmaster.OWNER where that is still a name of at most 255 octets, else OWNER itself.
  const bool hostmaster = name_size_ - skip <= kMaxNameSize - kHostmaster.size();
  writer_.u16(to_owner);
  writer_.u16(kTypeSoa);
  writer_.u16(kClassIn);
  writer_.u32(ttl);
  writer_.u16(static_cast<std::uint16_t>(2 + (hostmaster ? kHostmaster.size() : 0) + 2 + 20));
  writer_.u16(to_owner);
  if (hostmaster) writer_.text(kHostmaster);
  writer_.u16(to_owner);
  writer_.u32(kSoaSerial);
  writer_.u32(kSoaRefresh);
  writer_.u32(kSoaRetry);
  writer_.u32(kSoaExpire);
  writer_.u32(ttl);
  keep_or_drop(start, authorities_);
}

void Reply::set_error(Ede code, std::string_view text) {
  has_error_ = true;
  error_code_ = code;
  error_text_ = text;
}

void Reply::write_opt() {
  writer_.set_limit(limit_);
  writer_.u8(0);  // the root
  writer_.u16(kTypeOpt);
  writer_.u16(kMaxUdpReply);
  writer_.u8(static_cast<std::uint8_t>(rcode_ >> 4));
  writer_.u8(0);  // version
  writer_.u16(dnssec_ok_ ? 0x8000 : 0);
  const std::size_t room = writer_.room() - 2 - cookie_size();
  constexpr std::size_t kCodeSize = 2;  // of the error
  const bool shows_error = has_error_ && room >= kOptionHead + kCodeSize;
  const bool shows_text = shows_error && room - kOptionHead - kCodeSize >= error_text_.size();
  const std::size_t error_size = shows_error ? kCodeSize + (shows_text ? error_text_.size() : 0) : 0;
  writer_.u16(static_cast<std::uint16_t>(cookie_size() + (shows_error ? kOptionHead + error_size : 0)));
  write_cookie_back(writer_, cookie_);
  if (!shows_error) return;
  writer_.u16(kOptionEde);
  writer_.u16(static_cast<std::uint16_t>(error_size));
  writer_.u16(error_code_);
  if (shows_text) writer_.text(error_text_);
}

std::size_t Reply::finish() {
  if (opt_) write_opt();
  HAR_ASSERT(!writer_.failed());
  writer_.patch_u16(2, static_cast<std::uint16_t>(flags_ | (truncated_ ? kTc : 0)));
  writer_.patch_u16(4, questions_);
  writer_.patch_u16(6, answers_);
  writer_.patch_u16(8, authorities_);
  writer_.patch_u16(10, opt_ ? 1 : 0);
  return writer_.size();
}

}  // namespace har::dns
