#include "config_docs/example.h"

#include <fmt/format.h>

#include "config/schema.h"
#include "config/value.h"

namespace har::config_docs {
namespace {

using config::Kind;
using config::Option;

constexpr std::size_t kColumns = 110;

std::string wrapped(std::string_view text, const std::string& lead) {
  std::string out, line;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && lead.size() + line.size() + 1 + word.size() > kColumns) {
      out += lead + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + std::string(word);
  }
  return out + lead + line + "\n";
}

std::string allowed(const Option& option) {
  switch (option.kind) {
    case Kind::kInteger:
    case Kind::kFraction:
      return fmt::format(" ({:.12g} to {:.12g})", option.least, option.most);
    case Kind::kDuration:
      return fmt::format(" ({:.12g} to {:.12g}{})", option.least, option.most,
                         option.words.empty() ? "" : fmt::format(", or {}", option.words.front().text));
    case Kind::kSwitch:
      return " (true or false)";
    case Kind::kWord:
      return fmt::format(" ({})", config::words_of(option.words));
    default:
      return "";
  }
}

std::string row(const Option& option, const std::string& comment, const std::string& live) {
  return wrapped(std::string(option.doc) + allowed(option), comment) +
         fmt::format("{}{} = {}\n\n", live, option.key, option.standard.empty() ? option.sample : option.standard);
}

}  // namespace

std::string example_text() {
  std::string out =
      "# har.conf: the configuration of hard, the high-availability resolver. See har.conf(5).\n"
      "#\n"
      "# Each option is shown with its default, as a comment; where the default cannot be written down, an example is "
      "shown.\n"
      "# All times are in seconds; fractions are allowed. Try a new file with: hard --check FILE\n"
      "# A second file can be read with include(\"file\"), and ${VARIABLE} stands for an environment variable.\n\n";
  for (const auto& option : config::options()) {
    if (option.where == config::kAtTop) out += row(option, "# ", "#");
  }
  out += "# What holds for all names that do not say otherwise.\ndefaults {\n";
  for (const auto& option : config::options()) {
    if ((option.where & config::kInName) != 0) out += row(option, "\t# ", "\t#");
  }
  out.pop_back();
  out +=
      "}\n\n"
      "# A name that is taken over, and the hosts that may serve it. What stands in 'defaults' can stand here as well, "
      "and\n"
      "# the check_ and expect_ options in a candidate too.\n"
      "#name www.example.com {\n"
      "#\tcandidate www1.east.example.com {\n";
  for (const auto& option : config::options()) {
    if (option.where == config::kInCandidate) out += row(option, "#\t\t# ", "#\t\t");
  }
  out.pop_back();
  out +=
      "#\t}\n"
      "#\tcandidate www1.west.example.com {\n"
      "#\t\tcheck_address = \"http://www1.west.example.com/\"\n"
      "#\t\ttier = 1\n"
      "#\t}\n"
      "#}\n";
  return out;
}

}  // namespace har::config_docs
