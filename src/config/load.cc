#include "config/load.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "config/check.h"
#include "config/reader.h"
#include "config/remarks.h"

namespace har::config {
namespace {

std::string_view without_blanks_before(std::string_view text) {
  return text.substr(std::min(text.size(), text.find_first_not_of(" \t\r")));
}

// What a line assigns to data_file, if it is an absolute path.
std::optional<std::string_view> data_file_in(std::string_view line) {
  constexpr std::string_view kKey = "data_file";
  line = without_blanks_before(line);
  if (!line.starts_with(kKey)) return std::nullopt;
  line = without_blanks_before(line.substr(kKey.size()));
  if (!line.starts_with('=')) return std::nullopt;
  line = without_blanks_before(line.substr(1));
  const bool is_quoted = line.starts_with('"') || line.starts_with('\'');
  const std::string_view ends = is_quoted ? line.substr(0, 1) : std::string_view(" \t\r#;");
  if (is_quoted) line.remove_prefix(1);
  if (!line.starts_with('/')) return std::nullopt;
  return line.substr(0, line.find_first_of(ends));
}

// For texts that could not be read to their end: the last line that says so.
std::optional<std::string> find_data_file(const std::vector<SourceFile>& files) {
  std::optional<std::string> found;
  for (const SourceFile& file : files) {
    for (std::string_view rest = file.text; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (const auto path = data_file_in(line)) found = *path;
    }
  }
  return found;
}

}  // namespace

Loaded load(const std::string& path, const FileSource& files, const Environment& environment,
            const LoadOptions& options) {
  Remarks remarks;
  const Environment nothing = [](const std::string&) { return std::optional<std::string>(); };
  Tree tree = read_tree(path, files, environment ? environment : nothing, remarks, options.progress);
  auto config = check_tree(tree, remarks, options);
  Loaded out;
  out.mistakes = remarks.mistakes(tree.paths);
  out.warnings = remarks.warnings(tree.paths);
  out.files = std::move(tree.files);
  out.variables = std::move(tree.variables);
  out.data_file_hint = config.data_file;
  if (!tree.whole) out.data_file_hint = find_data_file(out.files).value_or(config.data_file);
  if (out.mistakes.empty()) out.config = std::make_shared<const Config>(std::move(config));
  return out;
}

FileSource bundle_source(std::vector<SourceFile> files) {
  std::unordered_map<std::string, std::string> by_path;
  for (auto& file : files) by_path.emplace(std::move(file.path), std::move(file.text));
  return [by_path = std::move(by_path)](const std::string& path) -> Result<std::string> {
    const auto found = by_path.find(path);
    if (found == by_path.end()) return failure("not among the files that were kept");
    return found->second;
  };
}

Environment bundle_environment(std::vector<std::pair<std::string, std::optional<std::string>>> variables) {
  std::unordered_map<std::string, std::optional<std::string>> by_name;
  for (auto& variable : variables) by_name.emplace(std::move(variable.first), std::move(variable.second));
  return [by_name = std::move(by_name)](const std::string& name) {
    const auto found = by_name.find(name);
    return found == by_name.end() ? std::nullopt : found->second;
  };
}

}  // namespace har::config
