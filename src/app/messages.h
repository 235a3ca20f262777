// What the three processes say to each other. The keeper is at one end of every channel.
// Thread: none; values.  Tested by: messages_test.cc, tests/fuzz/messages_fuzz.cc
//
// The life of a start or a reload:
//   keeper  -> checker  kHello      (text: FILE; resume flag; with resume: the user, bundle, table, counters)
//   checker -> keeper   kPrepare    addresses, port, workers and sizes of a configuration that was accepted
//   keeper  -> checker  kPrepared   (table, counters)           or kRefused (text)
//   checker -> keeper   kCommit     (bundle)                    the table is laid out and filled
//   keeper  -> answerer kSockets *  (UDP sockets of one address, one a worker, then its TCP listener), then kServe
//   answerer-> keeper   kServing    the workers answer from the new table; the keeper lets go of what is old
//   keeper  -> checker  kCommitted
//   checker -> keeper   kReloadOver  for each kReload, whatever came of it
// During an upgrade (keeper_upgrade.cc) a keeper speaks with the last version's children: kBeat and kStop stay as they
// are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/log.h"
#include "net/channel.h"

namespace har::app {

enum MessageType : std::uint32_t {
  kHello = 1,   // number resume, text config path, number generation, text user; resume: fds bundle, table, counters
  kPrepare,     // Prepare
  kPrepared,    // fds table (writable), counters (writable)
  kRefused,     // text why
  kCommit,      // number generation; fd bundle
  kCommitted,   // number generation
  kReload,      // SIGHUP
  kReady,       // the first round of probes has ended, or 2 s have gone
  kBeat,        // either child, once a second: all its threads live
  kSockets,     // fds: UDP per worker, TCP listener
  kServe,       // number generation, workers, names, log level; text user; fds table (read-only), counters (writable)
  kServing,     // number generation
  kStop,        // end: within 0.8 s. Number 1: a successor serves, end with the last connection, within 30 s
  kReloadOver,  // a kReload has been followed, or refused
  kGoFirst,     // number thread: a worker that is calm and wants precedence (app/precedence.h)
};

struct Prepare {
  struct Address {
    IpPort at;
    bool optional = false;  // a default that the host may lack: skipped with a line
  };
  std::vector<Address> addresses;
  std::uint32_t workers = 1;
  std::uint32_t names = 0;
  std::uint64_t table_bytes = 0;
  std::uint64_t counter_bytes = 0;
  std::string user;
  LogLevel log_level = LogLevel::kInfo;

  std::string pack() const;
  static bool unpack(const std::string& body, Prepare& out);  // false: malformed or over the limits below

  static constexpr std::size_t kMaxAddresses = 256;
  static constexpr std::uint32_t kMaxWorkers = 64;
};

// The descriptor on which a child finds its channel.
inline constexpr int kChannelFd = 3;

}  // namespace har::app
