// World: what a scenario expects of the inside.
#include <algorithm>

#include "text.h"
#include "world.h"

namespace har::replay {

void World::expect_state(const Words& words) const {
  need(words, 3, "state [NAME/]CANDIDATE[@ADDRESS] up|down|unknown|drained");
  const std::vector<std::string> at = split(words[1], "@");
  const std::vector<std::string> path = split(at[0], "/");
  bool found = false;
  for (const health::EndpointReport& row : directory_.report()) {
    if (row.candidate != path.back() || (path.size() > 1 && row.name != path[0])) continue;
    if (at.size() > 1 && row.address != read_address(at[1])) continue;
    found = true;
    const bool fits = words[2] == "drained" ? row.drained : word(row.state) == words[2];
    if (!fits) throw Mismatch(row.candidate + "@" + row.address.to_string() + " is " + std::string(word(row.state)));
  }
  if (!found) throw Mismatch("there is no endpoint " + words[1]);
}

void World::expect_event(const std::string& text, bool wanted) const {
  std::string all;
  bool found = false;
  for (const std::string& event : events_) {
    all += "\n    " + event;
    if (event.find(text) != std::string::npos) found = true;
  }
  if (found != wanted) throw Mismatch((wanted ? "there is no such event" : "there is such an event") + all);
}

void World::expect_rewritten(const Words& words) const {
  std::set<std::string> wanted(words.begin() + 1, words.end());
  wanted.erase("none");
  std::set<std::string> got;
  for (const std::uint32_t slot : rewritten_) got.insert(name_of(slot));
  if (wanted == got) return;
  std::string all;
  for (const std::string& name : got) all += " " + name;
  throw Mismatch("rewritten were:" + all);
}

void World::expect_pace(const Words& words) const {
  need(words, 3, "pace CANDIDATE[@ADDRESS] [disagrees] [refused] [down] or steady");
  for (const health::CheckId id : checks_of(words[1])) {
    const health::Pace pace = directory_.pace(id);
    std::set<std::string> got;
    if (pace.disagrees) got.insert("disagrees");
    if (pace.refused) got.insert("refused");
    if (pace.down_since) got.insert("down");
    if (got.empty()) got.insert("steady");
    if (got != std::set<std::string>(words.begin() + 2, words.end())) throw Mismatch("its pace is another");
  }
}

void World::expect_check(const Words& words) const {
  need(words, 4, "check CANDIDATE[@ADDRESS] (frequency|changing|down|timeout|host|path|port VALUE)...");
  for (const health::CheckId id : checks_of(words[1])) {
    const config::Check& check = directory_.target(id).check;
    for (std::size_t i = 2; i + 1 < words.size(); i += 2) {
      const std::string& key = words[i];
      const std::string& value = words[i + 1];
      bool fits = false;
      if (key == "frequency") fits = check.frequency == read_duration(value);
      if (key == "changing") fits = check.frequency_changing == read_duration(value);
      if (key == "down") fits = check.frequency_down == read_duration(value);
      if (key == "timeout") fits = check.timeout == read_duration(value);
      if (key == "host") fits = check.http_host == value;
      if (key == "path") fits = check.http->path == value;
      if (key == "port") fits = check.port == read_number(value);
      if (!fits) throw Mismatch("its " + key + " is not " + value);
    }
  }
}

}  // namespace har::replay
