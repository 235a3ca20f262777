// Replays scenarios: har_replay [--must-fail] FILE... Exit 0 when every line holds (with --must-fail: when one does
// not), else 1, and the first line of each file that does not hold, as file:line.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "text.h"
#include "world.h"

namespace {

using har::replay::Mismatch;
using har::replay::trim;

// Empty: it holds. Else what does not, for a person.
std::string replay(const std::string& path) {
  std::ifstream file(path);
  if (!file) return path + ": cannot be read";
  har::replay::World world;
  std::string line;
  std::size_t steps = 0;
  for (int number = 1; std::getline(file, line); ++number) {
    const int first = number;
    if (const auto comment = line.find('#');
        comment != std::string::npos && (comment == 0 || line[comment - 1] == ' ')) {
      line.resize(comment);
    }
    line = trim(line);
    if (line.empty()) continue;
    std::string block;
    // "config {" to a } in the first column, or "config <<END" to a line END.
    const bool here = line.ends_with("<<END");
    bool closed = !here && !line.ends_with('{');
    for (std::string inner; !closed && std::getline(file, inner);) {
      ++number;
      closed = inner == (here ? "END" : "}");
      if (!closed) block += inner + "\n";
    }
    try {
      if (!closed) throw Mismatch("a block ends with a } in the first column, <<END with END");
      world.run(line, block);
      ++steps;
    } catch (const Mismatch& mismatch) {
      return path + ":" + std::to_string(first) + ": " + line + "\n  " + mismatch.what();
    }
  }
  return steps == 0 ? path + ": an empty scenario" : "";
}

}  // namespace

int main(int argc, char** argv) {
  bool must_fail = false;
  bool good = argc > 1;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--must-fail") {
      must_fail = true;
      continue;
    }
    const std::string mistake = replay(argument);
    if (!mistake.empty()) std::cerr << mistake << "\n";
    if (mistake.empty() == must_fail) {
      good = false;
      if (must_fail) std::cerr << argument << ": holds, but should not\n";
    }
  }
  return good ? 0 : 1;
}
