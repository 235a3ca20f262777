// The state on disk: sqlite3 behind a mailbox, on a thread of its own. History may be lost here, an answer never.
// Source: SEMANTICS "State".  Thread: the control thread calls; sqlite runs on the store's thread.
// Tested by: store_test.cc, trouble_test.cc, late_test.cc, slow_test.cc
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "health/directory.h"
#include "store/moment.h"

namespace har::store {

struct NameRow {
  std::string name;
  std::uint64_t queries = 0;
};

struct EndpointRow {
  health::EndpointReport report;
  std::uint64_t dns_successes = 0, dns_timeouts = 0, dns_errors = 0;
};

struct Sample {
  WallTime time;
  std::string name, candidate;
  IpAddress address;
  Duration connect_time{}, response_time{};
  health::Outcome outcome = health::Outcome::kOk;
};

struct EventRow {
  WallTime time;
  health::Event event;
};

struct Loaded {
  std::vector<NameRow> names;
  std::vector<health::StoredEndpoint> endpoints;
};

struct HistoryQuery {
  std::string name;  // empty: of all names
  WallTime since{}, until = WallTime::max();
  std::size_t limit = 1'000;  // the newest so many of each
  bool with_samples = true;
};

struct History {
  std::string trouble;           // not empty: could not be read
  std::vector<EventRow> events;  // oldest first
  std::vector<Sample> samples;   // oldest first
};

class Store {
 public:
  // Opens or makes `file` and reads what is there, on the store's thread; waits for that no longer than `patience` (a
  // locked or slow disk must not delay the start: then `loaded` is empty and the store goes on trying on its own
  // thread). Never fails: troubles are logged once a change and shown by trouble(). A corrupt file is set aside as
  // FILE.corrupt-<time>. `log` is copied.
  // `late`: is given what is read after the waiting has ended, if that is anything; on the store's thread (post it to
  // yourself). Nothing is written until late_is_taken(): then put the state of all names again, for what was put until
  // then was put in ignorance and is dropped. Without it what comes late is lost. It is given nothing when the file
  // may have lost what we wrote: do the same.
  // `from_now_on_writes`: called once on the store's thread, when it has tried to read and before it writes. It may
  // outlive whoever passed it.
  // `check_every`: the whole file is read and looked at for damage that often, whatever size and time of the file say
  // (somebody may have written over the log in the very moment of a write of ours), or less often: it takes a
  // thousandth of the thread's time at most, and half a second, in which a large file is read only in part.
  Store(std::string file, const Log& log, Duration patience = std::chrono::milliseconds(300),
        std::function<void(Loaded)> late = {}, const std::function<void()>& from_now_on_writes = {},
        Duration check_every = std::chrono::minutes(10));
  ~Store();  // writes what waits, for at most 300 ms

  const Loaded& loaded() const;  // what the file said at start, ages as of now
  void forget_loaded();          // it is not asked for any more
  void late_is_taken();

  // All return at once; batched into one transaction, state changes on disk within 1 s. Bounded memory: when the disk
  // does not keep up, samples are dropped first, then events, and the newest endpoint rows win.
  void put_events(std::vector<EventRow> events);
  void put_samples(std::vector<Sample> samples);
  // Of every name that is mentioned `endpoints` are all there are: stored ones that are not among them are removed.
  // Names that are not mentioned stay as they are. `at`: any moment, by all clocks.
  void put_state(std::vector<NameRow> names, std::vector<EndpointRow> endpoints, const Moment& at);
  void forget_others(std::vector<std::string> names);  // rows of names that are configured no more are removed

  // What has been written until now. `done` is called on the store's thread (post it to yourself), and not at all when
  // the store ends before.
  void read_history(HistoryQuery query, std::function<void(History)> done);

  std::string trouble() const;  // empty: all is well; for status

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace har::store
