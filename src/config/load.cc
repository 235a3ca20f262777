#include "config/load.h"

#include <unordered_map>

#include "config/check.h"
#include "config/reader.h"
#include "config/remarks.h"

namespace har::config {

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
