#include "app/bundle.h"

#include <charconv>

namespace har::app {
namespace {

// A head line, then a line "KIND SIZE SIZE" and its two texts for each entry: readable with a pager, exact to the
// octet.
constexpr std::string_view kHead = "har accepted configuration 1\n";

void append_entry(std::string& out, std::string_view kind, std::string_view first, std::string_view second) {
  out.append(kind).append(" ").append(std::to_string(first.size())).append(" ").append(std::to_string(second.size()));
  out.append("\n").append(first).append("\n").append(second).append("\n");
}

bool take_number(std::string_view& text, std::size_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take_char(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

bool take_text(std::string_view& text, std::size_t size, std::string& out) {
  if (size > text.size()) return false;
  out = text.substr(0, size);
  text.remove_prefix(size);
  return take_char(text, '\n');
}

}  // namespace

Bundle Bundle::take(const std::string& main_path, config::Loaded& loaded) {
  return {main_path, std::move(loaded.files), std::move(loaded.variables), {}};
}

std::string Bundle::to_text() const {
  std::string out(kHead);
  append_entry(out, "main", main_path, "");
  for (const auto& file : files) append_entry(out, "file", file.path, file.text);
  for (const auto& [name, value] : variables) {
    append_entry(out, value ? "set" : "unset", name, value.value_or(""));
  }
  for (const auto& [key, value] : in_force) append_entry(out, "in-force", key, value);
  return out;
}

Result<Bundle> Bundle::parse(std::string_view text) {
  const auto damaged = [] { return failure("the kept copy of the configuration is damaged"); };
  if (!text.starts_with(kHead)) return damaged();
  text.remove_prefix(kHead.size());
  Bundle bundle;
  while (!text.empty()) {
    const auto space = text.find(' ');
    if (space == std::string_view::npos) return damaged();
    const std::string_view kind = text.substr(0, space);
    text.remove_prefix(space + 1);
    std::size_t first_size = 0, second_size = 0;
    std::string first, second;
    if (!take_number(text, first_size) || !take_char(text, ' ') || !take_number(text, second_size) ||
        !take_char(text, '\n') || !take_text(text, first_size, first) || !take_text(text, second_size, second)) {
      return damaged();
    }
    if (kind == "main") {
      bundle.main_path = first;
    } else if (kind == "file") {
      bundle.files.push_back({first, second});
    } else if (kind == "set") {
      bundle.variables.emplace_back(first, second);
    } else if (kind == "unset") {
      bundle.variables.emplace_back(first, std::nullopt);
    } else if (kind == "in-force") {
      bundle.in_force.emplace_back(first, second);
    } else {
      return damaged();
    }
  }
  if (bundle.main_path.empty() || bundle.files.empty()) return damaged();
  return bundle;
}

config::Loaded Bundle::load(const config::LoadOptions& options) const {
  return config::load(main_path, config::bundle_source(files), config::bundle_environment(variables), options);
}

}  // namespace har::app
