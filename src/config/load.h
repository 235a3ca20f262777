// The public entry: configuration text in, a checked Config or every mistake out. The disk and the environment are
// callables, so that the same code reads files, a kept copy (a "bundle" of the files once read) and a fuzzer's bytes.
// Also see: rate.h (what `hard --check` prints), resolv_conf.h.
// Thread: any; no state.  Tested by: load_test.cc, tests/oracle_config/, tests/fuzz/config_fuzz.cc
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace har::config {

// The text of a file, or why it could not be read ("No such file or directory"); the path is added to the message here.
using FileSource = std::function<Result<std::string>(const std::string& path)>;
// The value of an environment variable; nothing when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& variable)>;

// One line for a person: `file:line: what is wrong; what would be right`. Line 0: the file as a whole.
struct Mistake {
  std::string file;
  int line = 0;
  std::string what;
  std::string to_string() const;  // "har.conf:12: ..."
  auto operator<=>(const Mistake&) const = default;
};

struct SourceFile {
  std::string path;  // as it was given to FileSource
  std::string text;
  bool operator==(const SourceFile&) const = default;
};

struct Loaded {
  std::shared_ptr<const Config> config;  // null when there is a mistake
  std::vector<Mistake> mistakes;         // in the order of the text, included files at the place of their include()
  std::vector<Mistake> warnings;         // likewise; they do not hinder
  // What was read, in order, each file and variable once: enough to read the same configuration again without the disk
  // (bundle_source, bundle_environment).
  std::vector<SourceFile> files;
  std::vector<std::pair<std::string, std::optional<std::string>>> variables;
  // data_file as far as it could be read even though other lines are wrong; else the default. The kept copy lies
  // beside.
  std::string data_file_hint;
};

struct LoadOptions {
  // The configuration that runs, if any; what is the same in both is shared (SharedCheck), and nothing else follows.
  const Config* before = nullptr;
  // Called again and again, once a name or so: with very many of them a load takes seconds, and somebody may have to be
  // told that it goes on.
  std::function<void()> progress;
};

// Reads `path` and what it includes. Never throws on input; linear in its size; at most 64 MiB and 1,000 files.
Loaded load(const std::string& path, const FileSource& files, const Environment& environment,
            const LoadOptions& options = {});

// Callables that give exactly what an earlier load() read, and nothing else.
FileSource bundle_source(std::vector<SourceFile> files);
Environment bundle_environment(std::vector<std::pair<std::string, std::optional<std::string>>> variables);

}  // namespace har::config
