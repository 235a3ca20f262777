// For the tests of this folder: load from texts, and what was said about them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/load.h"

namespace har::config {

using Variables = std::vector<std::pair<std::string, std::optional<std::string>>>;

inline Loaded load_texts(std::vector<SourceFile> files, Variables variables = {}, const Config* before = nullptr) {
  const auto first = files.front().path;
  return load(first, bundle_source(std::move(files)), bundle_environment(std::move(variables)), {before, {}});
}

inline Loaded load_text(std::string text, Variables variables = {}) {
  return load_texts({{"t", std::move(text)}}, std::move(variables));
}

inline Loaded load_text(std::string text, const Config* before) {
  return load_texts({{"t", std::move(text)}}, {}, before);
}

inline std::string said(const std::vector<Mistake>& mistakes) {
  std::string out;
  for (const auto& one : mistakes) out += one.to_string() + "\n";
  return out;
}

// The mistakes of a text, one a line; the file is called "t".
inline std::string mistakes_of(std::string text, Variables variables = {}) {
  return said(load_text(std::move(text), std::move(variables)).mistakes);
}

inline std::string warnings_of(std::string text, Variables variables = {}) {
  return said(load_text(std::move(text), std::move(variables)).warnings);
}

// One name with one candidate round the given options.
inline std::string in_name(const std::string& options) {
  return "name www.example.com {\n" + options + "\ncandidate a.example.com { }\n}\n";
}
inline std::string in_candidate(const std::string& options) {
  return "name www.example.com {\ncandidate a.example.com {\n" + options + "\n}\n}\n";
}

}  // namespace har::config
