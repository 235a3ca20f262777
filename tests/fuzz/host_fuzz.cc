// A candidate's host through its resolutions, in virtual time: replies as octets through dns::reply_matches and
// dns::read_addresses into probe::HostRecord. Input: the frequency, then events (World::event); a reply is described
// record by record (CNAME chains and loops, huge TTLs, thousands of addresses), damaged, or raw octets.
// Holds: what is read from a described reply is what the description says, by a reading that never sees the wire;
// HostRecord tells what the rules of its header say, by a model of them; never more than 64 addresses, none twice, with
// room for both families; a host is asked again in time, and not twice within a second.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/assert.h"
#include "dns/addresses.h"
#include "dns/match.h"
#include "dns/name.h"
#include "dns/types.h"
#include "input.h"
#include "probe/host_record.h"
#include "upstream/exchange.h"

namespace har::probe {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Bytes = std::vector<std::uint8_t>;
using List = std::vector<IpAddress>;
using Status = dns::Addresses::Status;
using What = HostNews::What;

// ---- a reply, described

constexpr std::size_t kNames = 40;

struct Record {
  std::size_t owner = 0;
  std::uint16_t type = dns::kTypeA;
  std::uint16_t rclass = dns::kClassIn;
  std::uint32_t ttl = 0;
  std::size_t target = 0;   // CNAME
  std::uint32_t value = 0;  // of an address
};

struct Described {
  std::uint16_t flags = 0x8180;
  std::vector<Record> answers;
  bool has_ns = false;
  std::optional<std::uint32_t> soa_ttl;  // its record's; MINIMUM is twice that
};

std::uint32_t ttl_by(std::uint8_t choice) {
  constexpr std::uint32_t kTtls[] = {0, 1, 30, 3'600, 0x7FFF'FFFF, 0x8000'0000, 0xFFFF'FFFF, 60};
  return kTtls[choice % 8];
}
std::uint32_t clean(std::uint32_t ttl) { return ttl > 0x7FFF'FFFF ? 0 : ttl; }

IpAddress address(std::uint16_t type, std::uint32_t value) {
  const std::uint8_t octets[16] = {1, static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 8),
                                   static_cast<std::uint8_t>(value)};
  return type == dns::kTypeA ? IpAddress::v4(octets) : IpAddress::v6(octets);
}

// Up to more than a message holds, but mostly few more than are kept: the time goes into other things then.
std::uint32_t many(std::uint8_t choice) { return choice >= 240 ? (choice - 235U) * 250U : choice % 80U; }

// Name 0 is asked. A third of them differ from the others in nothing but their length.
Bytes wire_name(std::size_t index, bool upper) {
  std::string text = index % 3 == 0 ? std::string(1 + index, 'a') : "n" + std::to_string(index);
  if (upper) text[0] = static_cast<char>(text[0] & ~0x20);
  Bytes wire = {static_cast<std::uint8_t>(text.size())};
  wire.insert(wire.end(), text.begin(), text.end());
  wire.push_back(0);
  return wire;
}

Described describe(Input& input, std::uint16_t type) {
  Described reply;
  const std::uint8_t head = input.next();
  constexpr std::uint16_t kRcodes[] = {0, 0, 0, 0, 3, 3, 2, 5};
  reply.flags = static_cast<std::uint16_t>(reply.flags | kRcodes[head % 8] | (head >= 0xF0 ? dns::kTc : 0));
  if ((head & 0x08) != 0) reply.soa_ttl = ttl_by(input.next());
  reply.has_ns = (head & 0x10) != 0;
  for (int steps = head >> 5; steps >= 0; --steps) {
    const std::uint8_t what = input.next();
    Record record;
    record.owner = input.next() % kNames;
    record.ttl = ttl_by(what >> 5);
    record.type = type;
    switch (what % 8) {
      case 0:  // a few addresses
      case 1:
        for (std::uint8_t left = input.next() % 8; left > 0; --left) {
          record.value = input.next();
          reply.answers.push_back(record);
        }
        break;
      case 2:  // very many
        for (std::uint32_t left = many(input.next()); left > 0; --left) {
          record.value = left;
          reply.answers.push_back(record);
        }
        break;
      case 3:  // one alias
      case 4:
        record.type = dns::kTypeCname;
        record.target = input.next() % kNames;
        reply.answers.push_back(record);
        break;
      case 5: {  // a chain from here on, perhaps back to its beginning
        const std::uint8_t length = input.next();
        record.type = dns::kTypeCname;
        const std::size_t first = record.owner;
        for (int i = length % 32; i > 0; --i) {
          record.target = i == 1 && length >= 128 ? first : (record.owner + 1) % kNames;
          reply.answers.push_back(record);
          record.owner = record.target;
        }
        break;
      }
      case 6:  // of the other type, or of another class
        record.type = type == dns::kTypeA ? dns::kTypeAaaa : dns::kTypeA;
        if ((what & 0x10) != 0) record.type = dns::kTypeTxt;
        reply.answers.push_back(record);
        record.type = type;
        record.rclass = 3;
        reply.answers.push_back(record);
        break;
      case 7:  // backwards: the links of a chain may stand in any order
        std::reverse(reply.answers.begin(), reply.answers.end());
        break;
    }
  }
  return reply;
}

class Wire {
 public:
  Wire(std::span<const std::uint8_t> query, Described& reply) : octets_(query.begin(), query.end()) {
    places_[0] = dns::kHeaderSize;
    std::size_t written = 0;
    for (const Record& record : reply.answers) {
      if (octets_.size() > 65'535 - 400) break;
      add(record, written % 2 == 0);
      ++written;
    }
    reply.answers.resize(written);
    if (reply.has_ns) add_authority(dns::kTypeNs, 60, {0});
    if (reply.soa_ttl) {
      Bytes data = {0, 0};
      data.resize(2 + 16);
      append(data, *reply.soa_ttl > 0x3FFF'FFFF ? *reply.soa_ttl : 2 * *reply.soa_ttl, 4);
      add_authority(dns::kTypeSoa, *reply.soa_ttl, data);
    }
    const auto put = [this](std::size_t at, std::size_t value) {
      octets_[at] = static_cast<std::uint8_t>(value >> 8);
      octets_[at + 1] = static_cast<std::uint8_t>(value);
    };
    put(2, reply.flags);
    put(6, written);
    put(8, (reply.has_ns ? 1U : 0U) + (reply.soa_ttl ? 1U : 0U));
  }
  Bytes octets() && { return std::move(octets_); }

 private:
  static void append(Bytes& to, std::size_t value, int octets) {
    for (int i = octets - 1; i >= 0; --i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  // In full, or as a pointer to where it stands already.
  void name(std::size_t index, bool in_full) {
    if (!in_full && places_[index] != 0 && places_[index] < 0x4000) return append(octets_, 0xC000 | places_[index], 2);
    places_[index] = octets_.size();
    const Bytes wire = wire_name(index, in_full);
    octets_.insert(octets_.end(), wire.begin(), wire.end());
  }
  void add(const Record& record, bool in_full) {
    name(record.owner, in_full);
    append(octets_, record.type, 2);
    append(octets_, record.rclass, 2);
    append(octets_, record.ttl, 4);
    const std::size_t size_at = octets_.size();
    append(octets_, 0, 2);
    if (record.type == dns::kTypeCname) {
      name(record.target, !in_full);
    } else {
      const IpAddress ip = address(record.type, record.value);
      octets_.insert(octets_.end(), ip.bytes.begin(), ip.bytes.begin() + static_cast<std::ptrdiff_t>(ip.size()));
    }
    octets_[size_at + 1] = static_cast<std::uint8_t>(octets_.size() - size_at - 2);
  }
  void add_authority(std::uint16_t type, std::uint32_t ttl, const Bytes& data) {
    name(0, false);
    append(octets_, type, 2);
    append(octets_, dns::kClassIn, 2);
    append(octets_, ttl, 4);
    append(octets_, data.size(), 2);
    octets_.insert(octets_.end(), data.begin(), data.end());
  }

  Bytes octets_;
  std::array<std::size_t, kNames> places_{};
};

void keep_smallest(List& addresses) {
  if (addresses.size() <= HostRecord::kMostAddresses) return;
  List sorted = addresses;
  std::sort(sorted.begin(), sorted.end());
  const IpAddress largest = sorted[HostRecord::kMostAddresses - 1];
  std::erase_if(addresses, [&](const IpAddress& ip) { return largest < ip; });
}

// What dns/addresses.h promises, from the description alone.
dns::Addresses expected(const Described& reply, std::uint16_t type) {
  const dns::Addresses failed;
  const unsigned rcode = reply.flags & 0xF;
  if ((reply.flags & dns::kTc) != 0 || (rcode != dns::kNoError && rcode != dns::kNxDomain)) return failed;
  dns::Addresses out;
  out.ttl = 0xFFFF'FFFF;
  std::size_t name = 0;
  for (int aliases = 0; aliases <= 16; ++aliases) {
    const Record* alias = nullptr;
    for (const Record& record : reply.answers) {
      if (record.owner != name || record.rclass != dns::kClassIn) continue;
      if (record.type == dns::kTypeCname && alias == nullptr) alias = &record;
      if (record.type != type) continue;
      out.status = Status::kFound;
      out.ttl = std::min(out.ttl, clean(record.ttl));
      const IpAddress ip = address(type, record.value);
      const bool is_new = std::find(out.addresses.begin(), out.addresses.end(), ip) == out.addresses.end();
      if (is_new) out.addresses.push_back(ip);
    }
    keep_smallest(out.addresses);
    if (out.status == Status::kFound) return rcode == dns::kNoError ? out : failed;
    if (alias == nullptr) {
      if (rcode == dns::kNoError && reply.has_ns && !reply.soa_ttl) return failed;
      out.status = rcode == dns::kNxDomain ? Status::kNxDomain : Status::kNoData;
      out.ttl = std::min(out.ttl, clean(reply.soa_ttl.value_or(0)));
      return out;
    }
    out.ttl = std::min(out.ttl, clean(alias->ttl));
    name = alias->target;
  }
  return failed;
}

// ---- a host

class World {
 public:
  explicit World(std::span<const std::uint8_t> octets) : input_(octets) {
    constexpr Duration kFrequencies[] = {milliseconds(100), seconds(2), seconds(30), seconds(3'600)};
    frequency_ = kFrequencies[input_.next() % 4];
    record_.emplace(frequency_, now_);
    if (input_.next() % 2 == 1) {
      for (const std::uint16_t type : {dns::kTypeA, dns::kTypeAaaa}) side(type).kept = {address(type, 7)};
      record_->remember({side(dns::kTypeA).kept[0], side(dns::kTypeAaaa).kept[0]});
    }
  }

  void run() {
    while (!input_.empty()) event();
  }

 private:
  struct Side {
    List kept;                   // what was told last
    std::optional<List> answer;  // the last answer that was no failure; empty: negative
    bool asking = false;
    bool answered = false;  // in this round
    bool failed = false;    // in this round
    bool failing = false;   // the last time, whenever that was
    Instant ended{};
    std::optional<Instant> first_negative;  // since the last good answer
    bool is_gone = false;                   // another one came 60 s or more after it
    bool is_doubted() const { return first_negative && !is_gone; }
  };

  Side& side(std::uint16_t type) { return sides_[type == dns::kTypeA ? 0 : 1]; }

  void event() {
    const std::uint8_t what = input_.next();
    const bool asking = sides_[0].asking || sides_[1].asking;
    if (what % 16 == 15) {
      record_->ask_again(now_);
      is_hurried_ = true;
      if (!asking) HAR_ASSERT(record_->next_event() <= now_);
    } else if (what % 16 == 14) {
      record_->ask_again_if_failed(now_);
      is_hurried_ = true;
    } else if (!asking) {
      begin_round();
    } else if (what % 16 == 13) {
      now_ += milliseconds(what);
      look();
    } else {
      const bool v4 = sides_[0].asking && (!sides_[1].asking || what % 2 == 0);
      end_one(v4 ? dns::kTypeA : dns::kTypeAaaa, what);
    }
  }

  void begin_round() {
    const Instant due = record_->next_event();
    HAR_ASSERT(due != kNever && due <= now_ + std::max<Duration>(seconds(30), frequency_ * 15));
    for (const Side& one : sides_) {  // in time for the second negative answer
      if (one.is_doubted() && !one.kept.empty() && !one.failing) {
        HAR_ASSERT(due <= std::max(now_, *one.first_negative + seconds(60)));
      }
    }
    if (due > now_) {  // nothing before its time
      const auto early = record_->take_due(due - Duration(1));
      HAR_ASSERT(!early.v4 && !early.v6);
    }
    now_ = std::max(now_, due);
    const auto asked = record_->take_due(now_);
    HAR_ASSERT(asked.v4 || asked.v6);
    // Not twice within a second, but for the second negative answer of a minute.
    const auto rested = [this](const Side& one) { return one.ended + seconds(1) <= now_; };
    const bool is_time = (asked.v4 && rested(sides_[0])) || (asked.v6 && rested(sides_[1]));
    HAR_ASSERT(is_time || is_hurried_ || sides_[0].is_doubted() || sides_[1].is_doubted());
    sides_[0].asking = asked.v4;
    sides_[1].asking = asked.v6;
    for (Side& one : sides_) one.answered = one.failed = false;
    told_alone_ = is_hurried_ = false;
    company_until_ = kNever;
    HAR_ASSERT(record_->next_event() == kNever);
  }

  void end_one(std::uint16_t type, std::uint8_t what) {
    DnsEnding ending;
    if (!hear(type, what, ending)) return;
    now_ += milliseconds(what);
    Side& mine = side(type);
    Side& other = sides_[type == dns::kTypeA ? 1 : 0];
    mine.asking = false;
    mine.ended = now_;
    const bool is_answer = ending.kind == DnsEnding::Kind::kAnswer && ending.answer.status != Status::kFailed;
    (is_answer ? mine.answered : mine.failed) = true;
    mine.failing = !is_answer;
    if (is_answer) {
      mine.answer = ending.answer.addresses;
      std::sort(mine.answer->begin(), mine.answer->end());
      if (!mine.answer->empty()) mine.first_negative.reset();
      if (mine.answer->empty() && !mine.first_negative) mine.first_negative = now_;
      mine.is_gone = mine.first_negative && now_ - *mine.first_negative >= seconds(60);
    }
    const double random = what / 255.0;
    const HostNews news = record_->ended(type == dns::kTypeA ? Family::kV4 : Family::kV6, ending, now_, random);
    if (other.asking) {
      HAR_ASSERT(news.what == What::kNothing);
      if (is_answer && !mine.answer->empty()) company_until_ = now_ + HostRecord::kCompany;
      HAR_ASSERT(record_->next_event() == company_until_);
      return;
    }
    judge(news);
  }

  // A reply to one question, until one counts. False: the input is empty before.
  bool hear(std::uint16_t type, std::uint8_t what, DnsEnding& ending) {
    if (what % 16 == 12) return true;  // silence
    std::array<std::uint8_t, 12 + 255 + 4> query;
    const std::span<const std::uint8_t> asked(query.data(), dns::write_query(0x1234, wire_name(0, false), type, query));
    Bytes octets;
    if (what % 16 == 11) {  // raw, behind a header and a question that are right
      octets.assign(asked.begin(), asked.end());
      octets[2] |= 0x80;
      const auto raw = input_.take(input_.next());
      octets.insert(octets.end(), raw.begin(), raw.end());
      for (const std::size_t at : {7U, 9U, 11U}) octets[at] = input_.next();
    } else {
      Described reply = describe(input_, type);
      octets = Wire(asked, reply).octets();
      HAR_ASSERT(dns::reply_matches(asked, octets));
      if (what % 16 >= 9) {
        for (int patches = 0; patches < 4; ++patches) {
          const std::size_t at = (input_.next() * std::size_t{256} + input_.next()) % octets.size();
          octets[at] = input_.next();
        }
        octets.resize(octets.size() - std::min<std::size_t>(octets.size(), input_.next() % 16));
      } else {
        check_reading(reply, octets, type);
      }
    }
    if (!dns::reply_matches(asked, octets)) return false;  // not ours: it is waited on
    const std::uint8_t rcode = dns::read_head(octets).rcode;
    if (!upstream::is_good(rcode)) {
      ending = {.kind = DnsEnding::Kind::kBad, .answer = {}, .why = "SERVFAIL"};
    } else {
      ending = {.kind = DnsEnding::Kind::kAnswer,
                .answer = dns::read_addresses(octets, type, HostRecord::kMostAddresses),
                .why = {}};
    }
    return true;
  }

  static void check_reading(const Described& reply, const Bytes& octets, std::uint16_t type) {
    const dns::Addresses read = dns::read_addresses(octets, type, HostRecord::kMostAddresses);
    const dns::Addresses right = expected(reply, type);
    HAR_ASSERT(read.status == right.status && read.addresses == right.addresses);
    HAR_ASSERT(read.ttl == right.ttl);
  }

  // ---- what HostRecord's header promises

  void look() {
    const HostNews news = record_->look(now_);
    const bool is_due = company_until_ <= now_;
    HAR_ASSERT(news.what == (is_due ? What::kAddresses : What::kNothing));
    if (!is_due) return;
    company_until_ = kNever;
    told_alone_ = true;
    check_told(news);
  }

  void judge(const HostNews& news) {
    company_until_ = kNever;
    bool any_answered = false, any_good = false, any_failed = false, both_negative = true;
    for (const Side& one : sides_) {
      any_answered |= one.answered;
      any_failed |= one.failed;
      any_good |= one.answer && !one.answer->empty() && !one.failing;
      both_negative &= one.answer && one.answer->empty() && !one.failing;
    }
    if (any_answered && any_good) {
      if (told_alone_ && any_failed) {
        HAR_ASSERT(news.what == What::kNothing);
      } else {
        check_told(news);
      }
      return;
    }
    if (any_answered && both_negative) {
      bool is_news = sides_[0].is_gone && sides_[1].is_gone && !is_withdrawn_;
      for (const Side& one : sides_) is_news |= one.is_gone && !one.kept.empty();
      if (is_news) return check_told(news);
    }
    HAR_ASSERT(news.what == What::kFailed && news.addresses.empty() && !news.why.empty());
  }

  void check_told(const HostNews& news) {
    HAR_ASSERT(news.what == What::kAddresses);
    is_withdrawn_ = news.addresses.empty();
    for (Side& one : sides_) {
      if (!one.asking && !one.failed && one.answer && (!one.answer->empty() || one.is_gone)) one.kept = *one.answer;
    }
    const std::size_t v4 = sides_[0].kept.size();
    const std::size_t v6 = sides_[1].kept.size();
    const auto is_v4 = [](const IpAddress& ip) { return ip.family == Family::kV4; };
    const auto told_v4 = static_cast<std::size_t>(std::count_if(news.addresses.begin(), news.addresses.end(), is_v4));
    const std::size_t told_v6 = news.addresses.size() - told_v4;
    HAR_ASSERT(news.addresses.size() == std::min(v4 + v6, HostRecord::kMostAddresses));
    HAR_ASSERT(told_v4 >= std::min<std::size_t>(v4, 32) && told_v6 >= std::min<std::size_t>(v6, 32));
    for (auto ip = news.addresses.begin(); ip != news.addresses.end(); ++ip) {
      HAR_ASSERT(std::find(news.addresses.begin(), ip, *ip) == ip);
      const List& kept = sides_[is_v4(*ip) ? 0 : 1].kept;
      HAR_ASSERT(std::find(kept.begin(), kept.end(), *ip) != kept.end());
    }
  }

  Input input_;
  Duration frequency_{};
  Instant now_ = Instant(seconds(10'000));
  std::optional<HostRecord> record_;
  std::array<Side, 2> sides_;
  Instant company_until_ = kNever;
  bool told_alone_ = false;
  bool is_withdrawn_ = false;
  bool is_hurried_ = false;  // ask_again() in this round
};

}  // namespace
}  // namespace har::probe

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  har::probe::World({data, std::min<std::size_t>(size, 4096)}).run();
  return 0;
}
