// One har in virtual time: a Directory, the answer table it writes, and what the answerer makes of it. Each line of a
// scenario is one call of run().
// Tested by: the scenarios, failing/*.scn.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "answer/answer.h"
#include "health/directory.h"
#include "table/reader.h"
#include "table/writer.h"
#include "upstreams.h"

namespace har::replay {

class World {
 public:
  World();

  // `block`: the configuration text of `config {` and `reload {`, else empty. Throws Mismatch.
  void run(const std::string& line, const std::string& block);

 private:
  using Words = std::vector<std::string>;

  void configure(const std::string& text);
  void at(const Words& words);
  void resolve(const Words& words);
  void probe(const Words& words);
  void network(const Words& words);
  void stored(const Words& words);
  void drain(const Words& words, bool drained);
  void upstream(const Words& words);

  void expect_state(const Words& words) const;
  void expect_event(const std::string& text, bool wanted) const;
  void expect_rewritten(const Words& words) const;
  void expect_pace(const Words& words) const;
  void expect_check(const Words& words) const;

  struct Asked {
    answer::Decision decision;
    Packet query, reply;  // `reply`: what the client gets; empty while forwarded
    ReplyText text;
    bool passed = false;  // an upstream's reply that went through untouched
    Upstreams::Outcome outcome;
  };
  void query(const std::string& left, const std::string& right);
  Asked ask(const struct Question& question, answer::Transport transport, bool through_upstream);
  void expect_answer(const Asked& asked, const std::string& expectation) const;

  void advance(Duration by);
  void follow();  // takes the directory's changes, as the checker does
  std::vector<health::CheckId> checks_of(const std::string& who) const;
  const std::string& name_of(std::uint32_t slot) const { return config_->names.at(slot).host; }

  struct Table {
    explicit Table(const table::Plan& plan);
    struct alignas(64) Line {
      std::byte octets[64];
    };
    std::vector<Line> memory;
    table::Writer writer;
    table::Reader reader;
    answer::Turns turns;
  };

  Instant now_{std::chrono::hours(10)};
  const Instant start_ = now_;
  health::Directory directory_{"machine-id", 1};
  std::shared_ptr<const config::Config> config_;
  std::unique_ptr<Table> table_;
  std::set<health::CheckId> running_;
  std::vector<health::StoredEndpoint> stored_;
  std::vector<std::string> events_;    // of the last step that was no expectation
  std::set<std::uint32_t> rewritten_;  // likewise
  Upstreams upstreams_;
  bool cookies_seen_ = false;  // answer.h
  std::uint16_t next_id_ = 1;
  std::uint64_t generation_ = 0;
};

}  // namespace har::replay
