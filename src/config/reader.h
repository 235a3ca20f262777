// Text to a tree: libconfuse's grammar, without knowing a single key. Follows include(), expands ${VARIABLES},
// remembers every file and variable read. Items of an included file stand at the place of their include().
//   statements = { key ("=" | "+=") (word | "{" [word {"," word} [","]] "}") | key [title] "{" statements "}"
//                | "include" "(" word [","] ")" }
// A syntax error is reported and ends the reading; what was read before it is kept.
// Thread: one load(); no i/o but through the callables.  Tested by: reader_test.cc, tests/oracle_config/
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/remarks.h"

namespace har::config {

struct Text {
  std::string text;
  Place place;
};

struct Item {
  enum class Kind : std::uint8_t { kOption, kSection };
  Kind kind = Kind::kOption;
  std::string key;
  Place place;
  // kOption
  std::vector<Text> values;
  bool in_braces = false;
  bool append = false;  // "+="
  // kSection
  std::optional<Text> title;
  std::vector<Item> items;
  bool closed = true;  // false: the reading ended inside it
};

struct Tree {
  std::vector<Item> items;
  bool whole = true;               // false: a syntax error ended the reading, or the first file could not be read
  bool gaps = false;               // an include() could not be read: what seems to be missing may stand there
  std::vector<std::string> paths;  // what Place::file counts
  std::vector<SourceFile> files;
  std::vector<std::pair<std::string, std::optional<std::string>>> variables;
};

inline constexpr int kMaxIncludeDepth = 10;             // as libconfuse
inline constexpr int kMaxIncludes = 1'000;              // in all
inline constexpr int kMaxSectionDepth = 16;             // the configuration itself needs two
inline constexpr std::size_t kMaxText = 64u << 20;      // octets in all, a file counted as often as it is included
inline constexpr std::size_t kMaxExpanded = 16u << 20;  // octets that come from variables

// `progress`: see LoadOptions; may be empty.
Tree read_tree(const std::string& path, const FileSource& files, const Environment& environment, Remarks& remarks,
               const std::function<void()>& progress);

}  // namespace har::config
