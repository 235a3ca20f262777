#include "config/load.h"

#include <optional>
#include <string_view>
#include <unordered_map>

#include "config/check.h"
#include "config/reader.h"
#include "config/remarks.h"

namespace har::config {
namespace {

// What the texts say of data_file, for somebody who could not read them: the last line that begins with the key.
std::optional<std::string> find_data_file(const std::vector<SourceFile>& files) {
  constexpr std::string_view kKey = "data_file", kBlanks = " \t\r";
  std::optional<std::string> found;
  for (const SourceFile& file : files) {
    for (std::string_view rest = file.text; !rest.empty();) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      line.remove_prefix(std::min(line.size(), line.find_first_not_of(kBlanks)));
      if (!line.starts_with(kKey)) continue;
      line.remove_prefix(kKey.size());
      line.remove_prefix(std::min(line.size(), line.find_first_not_of(kBlanks)));
      if (!line.starts_with('=')) continue;
      line.remove_prefix(1);
      line.remove_prefix(std::min(line.size(), line.find_first_not_of(kBlanks)));
      const bool is_quoted = line.starts_with('"') || line.starts_with('\'');
      const std::string_view end = is_quoted ? line.substr(0, 1) : std::string_view(" \t\r#;");
      if (is_quoted) line.remove_prefix(1);
      const std::string_view value = line.substr(0, line.find_first_of(end));
      if (value.starts_with('/')) found = std::string(value);
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
