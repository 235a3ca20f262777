// The numbers of the DNS that we name. Source: RFC 1035, 6891, 8914, 9460; IANA DNS parameters.
#pragma once

#include <cstddef>
#include <cstdint>

namespace har::dns {

inline constexpr std::size_t kHeaderSize = 12;
inline constexpr std::size_t kMaxNameSize = 255;
inline constexpr std::size_t kMaxUdpReply = 1232;  // what we advertise and the most that we send
inline constexpr std::size_t kMinUdpReply = 512;
inline constexpr std::size_t kMaxMessage = 65'535;

enum Opcode : std::uint8_t { kOpcodeQuery = 0, kOpcodeNotify = 4, kOpcodeUpdate = 5 };

enum Rcode : std::uint16_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kBadVers = 16,  // extended: the upper eight bits stand in the OPT record
};

enum Type : std::uint16_t {
  kTypeA = 1,
  kTypeNs = 2,
  kTypeCname = 5,
  kTypeSoa = 6,
  kTypePtr = 12,
  kTypeMx = 15,
  kTypeTxt = 16,
  kTypeAaaa = 28,
  kTypeOpt = 41,
  kTypeSvcb = 64,
  kTypeHttps = 65,
  kTypeIxfr = 251,
  kTypeAxfr = 252,
  kTypeAny = 255,
};

enum Class : std::uint16_t { kClassIn = 1, kClassAny = 255 };

// EDNS options: RFC 7873 4, RFC 8914 2.
inline constexpr std::size_t kOptionHead = 4;  // of an EDNS option: its code and length
enum Option : std::uint16_t { kOptionCookie = 10, kOptionEde = 15 };

// Bits of the second 16-bit word of the header.
enum Flag : std::uint16_t {
  kQr = 0x8000,
  kAa = 0x0400,
  kTc = 0x0200,
  kRd = 0x0100,
  kRa = 0x0080,
  kZ = 0x0040,
  kAd = 0x0020,
  kCd = 0x0010,
};

// Extended DNS Errors, RFC 8914 section 4.
enum Ede : std::uint16_t { kEdeOther = 0, kEdeStaleAnswer = 3, kEdeNotReady = 14, kEdeNoReachableAuthority = 22 };

}  // namespace har::dns
