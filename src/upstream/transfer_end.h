// Where a zone transfer ends: reads the answer records of its messages one by one.
// AXFR: the second SOA. IXFR: the sole SOA of one who is up to date, the second SOA of a whole zone, or the SOA with
// the newest serial that closes the last difference. Source: RFC 5936 2.2, RFC 1995 4.  Thread: any.  Tested by:
// transfer_end_test.cc, tests/fuzz/transfer_fuzz.cc
#pragma once

#include <cstdint>
#include <span>

namespace har::upstream {

class TransferEnd {
 public:
  // `query`: the AXFR or IXFR as the client sent it.
  explicit TransferEnd(std::span<const std::uint8_t> query);

  enum class Verdict : std::uint8_t {
    kMore,
    kLast,     // this message ends the transfer: a closing SOA, an error, or an answer that is no transfer at all
    kUnclear,  // a message that cannot be read: the end cannot be seen any more, only the connection's end
  };
  Verdict take(std::span<const std::uint8_t> message);

 private:
  enum class State : std::uint8_t { kNothing, kFirstSoa, kWholeZone, kDeleted, kAdded, kEnded, kUnclear };
  void take_record(bool is_soa, std::uint32_t serial);

  State state_ = State::kNothing;
  bool incremental_ = false;  // IXFR was asked
  bool has_serial_ = false;
  std::uint32_t client_serial_ = 0;  // IXFR: what the client has
  std::uint32_t newest_ = 0;         // the first SOA's
};

}  // namespace har::upstream
