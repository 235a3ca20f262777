// Every option of the configuration, one row each: where it may stand, its type, range, default and its line of
// documentation, and how it is stored. The example file and the near-miss suggestions come from here.
// Not for: rules across options (check.h).
// Thread: any; constant.  Tested by: schema_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/draft.h"
#include "config/reader.h"
#include "config/remarks.h"

namespace har::config {

// In the order of the table.
enum class Key : std::uint8_t {
  kNameservers,
  kDnsBindInterfaces,
  kDnsListenPort,
  kAllowClients,
  kResolverTimeout,
  kMaxInFlight,
  kTcpIdleTimeout,
  kTcpMaxConnections,
  kTcpMaxInFlight,
  kMaxProbesInFlight,
  kMaxTlsHandshakes,
  kDataFile,
  kStateMaxAge,
  kControlSocket,
  kHttpListen,
  kLogLevel,
  kWorkers,
  kUser,
  kTtl,
  kAnswerCount,
  kMinAvailable,
  kSelectionMethod,
  kGroupRttThreshold,
  kSwitchMargin,
  kSwitchMarginMin,
  kSwitchDwell,
  kRttMode,
  kMaxRtt,
  kFailureMode,
  kFixedAddresses,
  kHttpsRecords,
  kFall,
  kRise,
  kOkReset,
  kCheckFrequency,
  kCheckFrequencyChanging,
  kCheckFrequencyDown,
  kCheckTimeout,
  kCheckMethod,
  kCheckPort,
  kCheckPath,
  kCheckHost,
  kCheckHeaders,
  kCheckTlsVerify,
  kCheckCaFile,
  kExpectStatus,
  kExpectBody,
  kCheckAddress,
  kTier,
  kWeight,
  kCount,
};
inline constexpr auto kKeyCount = static_cast<std::size_t>(Key::kCount);

// Where an option may stand; bits.
enum Where : std::uint8_t { kAtTop = 1, kInName = 2 /* and in defaults */, kInCandidate = 4 };

enum class Kind : std::uint8_t { kInteger, kDuration, kFraction, kSwitch, kWord, kText, kList };

struct Word {
  std::string_view text;
  int value;
};

struct Option;

// An option's value, its type and range already checked.
struct Reading {
  const Option& option;
  const Item& item;
  Remarks& remarks;
  std::int64_t integer = 0;          // kInteger
  std::optional<Duration> duration;  // kDuration; absent: the word for "no limit"
  double fraction = 0;               // kFraction
  bool on = false;                   // kSwitch
  int word = 0;                      // kWord

  const Text& text() const { return item.values.front(); }    // kText
  std::span<const Text> list() const { return item.values; }  // kList
};

struct Option {
  Key id;
  std::string_view key;
  std::uint8_t where;
  Kind kind;
  double least, most;           // kInteger, kDuration (seconds), kFraction; for kList: how many
  std::span<const Word> words;  // kWord: all; kDuration: the words for "no limit", if it has any
  std::string_view standard;    // the default as it would be written; empty: see `sample`
  std::string_view sample;      // an example, where the default cannot be written down
  std::string_view doc;         // one or two sentences
  void (*store)(const Reading&, Draft&);
};

std::span<const Option> options();
const Option* find_option(std::string_view key);
inline const Option& option(Key key) { return options()[static_cast<std::size_t>(key)]; }

// The nearest key or section name; of equally near ones one that may stand at `where`. Empty when nothing is near.
std::string_view suggest_key(std::string_view written, Where where);

}  // namespace har::config
