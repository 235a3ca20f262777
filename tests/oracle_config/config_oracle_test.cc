// Texts that both readers take must mean the same; texts that one of them takes
// are listed with the reason.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "config/reader.h"
#include "config/schema.h"
#include "escape.h"

namespace har::config {
namespace {

namespace fs = std::filesystem;

// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    std::string path = (fs::temp_directory_path() / "har-config-oracle-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) std::abort();
    path_ = path;
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

// What libconfuse makes of each text.
std::vector<std::string> theirs(const std::vector<std::string>& texts,
                                const std::map<std::string, std::string>& included) {
  const Folder folder;
  for (const auto& [name, text] : included) folder.write(name, text);
  std::string command =
      fmt::format("cd '{}' && A=va EMPTY= ASAN_OPTIONS=detect_leaks=0 '{}'", folder.path().string(), HAR_CONFIG_ORACLE);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    folder.write(fmt::format("t{}", i), texts[i]);
    command += fmt::format(" t{}", i);
  }
  std::vector<std::string> out;
  std::string answer;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> buffer;
  while (const auto size = std::fread(buffer.data(), 1, buffer.size(), pipe)) answer.append(buffer.data(), size);
  EXPECT_EQ(pclose(pipe), 0);
  std::stringstream lines(answer);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("> ", 0) == 0) out.push_back(line.substr(2));
  }
  EXPECT_EQ(out.size(), texts.size());
  out.resize(texts.size());
  return out;
}

// The order in which the oracle prints: its schema's.
const std::vector<std::string_view>& order() {
  static const std::vector<std::string_view> kOrder{"check_address",
                                                    "tier",
                                                    "weight",
                                                    "dns_listen_port",
                                                    "resolver_timeout",
                                                    "max_in_flight",
                                                    "tcp_idle_timeout",
                                                    "tcp_max_connections",
                                                    "tcp_max_in_flight",
                                                    "max_probes_in_flight",
                                                    "max_tls_handshakes",
                                                    "data_file",
                                                    "state_max_age",
                                                    "control_socket",
                                                    "http_listen",
                                                    "log_level",
                                                    "workers",
                                                    "user",
                                                    "nameservers",
                                                    "dns_bind_interfaces",
                                                    "allow_clients",
                                                    "ttl",
                                                    "answer_count",
                                                    "min_available",
                                                    "selection_method",
                                                    "group_rtt_threshold",
                                                    "switch_margin",
                                                    "switch_margin_min",
                                                    "switch_dwell",
                                                    "rtt_mode",
                                                    "max_rtt",
                                                    "failure_mode",
                                                    "https_records",
                                                    "fall",
                                                    "rise",
                                                    "ok_reset",
                                                    "fixed_addresses",
                                                    "check_frequency",
                                                    "check_frequency_changing",
                                                    "check_frequency_down",
                                                    "check_timeout",
                                                    "check_method",
                                                    "check_port",
                                                    "check_path",
                                                    "check_host",
                                                    "check_tls_verify",
                                                    "check_ca_file",
                                                    "expect_body",
                                                    "check_headers",
                                                    "expect_status",
                                                    "candidate",
                                                    "defaults",
                                                    "name"};
  return kOrder;
}

// Our tree in the oracle's form: later values replace or are added to earlier
// ones. Unknown keys: refused, as theirs.
void show(const std::vector<Item>& items, std::string& out, bool& known) {
  std::map<std::string_view, std::vector<std::string>> values;
  for (const auto& item : items) {
    if (std::find(order().begin(), order().end(), item.key) == order().end()) known = false;
    auto& list = values[item.key];
    if (item.kind == Item::Kind::kSection) {
      std::string inside;
      show(item.items, inside, known);
      list.push_back(fmt::format("({}){{{} }}", item.title ? escaped(item.title->text) : "", inside));
      continue;
    }
    if (!item.append) list.clear();
    for (const auto& value : item.values) list.push_back(escaped(value.text));
  }
  for (const auto key : order()) {
    const auto found = values.find(key);
    if (found == values.end() || found->second.empty()) continue;
    const bool section = key == "name" || key == "candidate" || key == "defaults";
    if (!section) out += fmt::format(" {}=[", key);
    for (std::size_t i = 0; i < found->second.size(); ++i) {
      if (section) {
        out += fmt::format(" {}{}", key, found->second[i]);
      } else {
        out += (i > 0 ? "|" : "") + found->second[i];
      }
    }
    if (!section) out += "]";
  }
}

std::string ours(const std::string& text, const std::map<std::string, std::string>& included) {
  const FileSource files = [&](const std::string& path) -> Result<std::string> {
    if (path == "t") return text;
    const auto found = included.find(path);
    if (found == included.end()) return failure("No such file or directory");
    return found->second;
  };
  const Environment environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "A") return "va";
    if (name == "EMPTY") return "";
    return std::nullopt;
  };
  Remarks remarks;
  const auto tree = read_tree("t", files, environment, remarks, {});
  std::string out;
  bool known = true;
  show(tree.items, out, known);
  return remarks.mistake_count() == 0 && known ? out : "refused";
}

// A random configuration that libconfuse takes: every string form, lists,
// comments between statements, blanks.
class Writer {
 public:
  explicit Writer(std::uint64_t seed) : random_(seed) {}

  std::string file() {
    std::string out;
    const int statements = below(12);
    for (int i = 0; i < statements; ++i) {
      out += comment();
      if (below(3) == 0) {
        out += section("name", fmt::format("n{}.example", i), 0);
      } else if (below(8) == 0) {
        out += "defaults" + blank() + "{" + options(kInName) + "}" + newline();
      } else {
        out += option(kAtTop);
      }
    }
    return out + comment();
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  std::string blank() {
    std::string out;
    for (int i = below(3); i > 0; --i) out += " \t\n\r"[below(4)];
    return out;
  }
  std::string newline() { return below(2) == 0 ? "\n" : " "; }

  std::string comment() {
    switch (below(8)) {
      case 0:
        return "# a } comment \" ${A}\n";
      case 1:
        return "// another { one'\n";
      case 2:
        return "/* over\n * lines */ ";
      default:
        return newline();
    }
  }

  std::string word() {
    constexpr std::string_view kLetters = "abcXYZ0189.-_:/@%!$&;<>?[]^`|~\\";
    std::string out(1, "abcXYZ0189"[below(10)]);
    for (int i = below(12); i > 0; --i)
      out += kLetters[static_cast<std::size_t>(below(static_cast<int>(kLetters.size())))];
    return out;
  }

  std::string value() {
    switch (below(6)) {
      case 0:
        return "${A}" + std::string(" ");
      case 1:
        return "${NOT_SET:-a b}" + std::string(" ");
      case 2: {
        std::string out = "'";
        for (int i = below(10); i > 0; --i)
          out += std::array{
              "a", " ", "\\'", "\\\\", "\\n", "\"", "#", "${A}", "\\\n", "=", "}"}[static_cast<std::size_t>(below(11))];
        return out + "'";
      }
      case 3:
      case 4: {
        std::string out = "\"";
        for (int i = below(12); i > 0; --i) {
          out +=
              std::array{
                  "a",       " ",     "\\\"", "\\\\",  "\\n",  "\\t",  "'",       "#", "${A}",
                  "${B:-x}", "\\x41", "\\x7", "\\101", "\\7z", "\\\n", "=",       "}", "\\q",
                  "\\e",     "$",     "{",    "/*",    "//",   "\\$",  "\xC3\xA9"}[static_cast<std::size_t>(below(25))];
        }
        // A lone "$" before "{" would begin a variable.
        for (auto at = out.find("${"); at != std::string::npos; at = out.find("${", at + 2)) {
          if (out.compare(at, 4, "${A}") != 0 && out.compare(at, 4, "${B:") != 0 && (at == 0 || out[at - 1] != '\\'))
            out[at] = 'S';
        }
        return out + "\"";
      }
      default:
        return word() + " ";
    }
  }

  std::string option(Where where) {
    const Option* chosen = nullptr;
    do {
      chosen = &options_of_schema()[static_cast<std::size_t>(below(static_cast<int>(kKeyCount)))];
    } while ((chosen->where & where) == 0);
    std::string out = std::string(chosen->key) + blank();
    if (chosen->kind != Kind::kList) return out + "=" + blank() + value() + newline();
    out += below(3) == 0 ? "+=" : "=";
    out += blank();
    if (below(4) == 0) return out + value() + newline();
    out += "{";
    const int count = below(4);
    for (int i = 0; i < count; ++i) out += (i > 0 ? "," : "") + blank() + value();
    if (count > 0 && below(3) == 0) out += ",";
    return out + blank() + "}" + newline();
  }

  std::string options(Where where) {
    std::string out = newline();
    for (int i = below(6); i > 0; --i) out += comment() + option(where);
    return out + comment();
  }

  std::string section(const std::string& key, const std::string& title, int depth) {
    const auto form = below(3);
    std::string out = key + " " +
                      (form == 0   ? "\"" + title + "\""
                       : form == 1 ? "'" + title + "'"
                                   : title) +
                      blank() + "{";
    out += options(depth == 0 ? kInName : kInCandidate);
    if (depth == 0) {
      for (int i = below(3); i > 0; --i) out += section("candidate", fmt::format("c{}", i), 1) + options(kInName);
    }
    return out + "}" + newline();
  }

  static std::span<const Option> options_of_schema() { return config::options(); }

  std::mt19937_64 random_;
};

TEST(Oracle, KnowsEveryKey) {
  for (const auto& option : options()) {
    EXPECT_NE(std::find(order().begin(), order().end(), option.key), order().end()) << option.key;
  }
}

TEST(Oracle, RandomFilesMeanTheSame) {
  Writer writer(20'251'123);
  std::size_t taken = 0;
  for (int batch = 0; batch < 8; ++batch) {
    std::vector<std::string> texts;
    for (int i = 0; i < 100; ++i) texts.push_back(writer.file());
    const auto expected = theirs(texts, {});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      taken += expected[i] != "refused" ? 1 : 0;
      ASSERT_EQ(ours(texts[i], {}), expected[i]) << texts[i];
    }
  }
  EXPECT_GT(taken, 700u) << "the texts must be such as libconfuse takes";
}

// Texts that both take, or both refuse.
const std::vector<std::string> kAgreed = {
    "",
    "ttl",
    "user = a",
    "user=a data_file=b",
    "\"user\" = 'a'",
    "user = a data_file",
    "user a",
    "user = a, data_file = b",
    "user = a;",
    "user = a.b:c/d-e_f@g%h!i$j^k&l?n|o\\p~q`r<s>t[u]v",
    "user = a=b",
    "user = a(b",
    "user = a{b",
    "user = a}",
    "user = a//b data_file = c",
    "user = //\n",
    "user = \"a\" \"b\"",
    "user = \"a\"data_file = \"b\"",
    "user = \"a\nb\"",
    "user = 'a\nb'",
    "user = \"a\\\nb\" data_file = 'c\\\nd'",
    "user = a\\\nb",
    "user = \"abc",
    "user = 'abc",
    "user = 'a\\'",
    "user = 'a\\\\'",
    "user = \"a\\",
    R"(user = "a\nb\tc\\d\"e\'f\x41g\101h\zi\ej\ak\bl\fm\rn\vo")",
    R"(user = 'a\nb\tc\\d\"e\'f\x41g\101h\zi')",
    R"(user = "\08")",
    R"(user = "\9")",
    R"(user = "\400")",
    R"(user = "\377")",
    R"(user = "\x")",
    R"(user = "\xg")",
    R"(user = "\x414")",
    R"(user = "\1a")",
    "nameservers = {}",
    "nameservers = { a }",
    "nameservers = { a b }",
    "nameservers = { a, b, }",
    "nameservers = { , a }",
    "nameservers = {,}",
    "nameservers = {a,,b}",
    "nameservers = a",
    "nameservers = a, b",
    "nameservers = {a,{b}}",
    "nameservers = {a} nameservers += {b, c} nameservers += d",
    "nameservers += {b}",
    "nameservers += {b} nameservers = {c}",
    "nameservers = {a} nameservers += {}",
    "nameservers = {a",
    "nameservers = {a,",
    "user = ",
    "user = =",
    "= a",
    "{ }",
    "}",
    "name x { } }",
    "name x { ttl = 1 }",
    "name \"x y\" { ttl = 1 }",
    "name { ttl = 1 } }",
    "name x ttl = 1",
    "name = x { }",
    "name x y { }",
    "name x { candidate y { tier = 1 } candidate z { } ttl = 2 }",
    "name x { ttl = }",
    "name x { ttl }",
    "name ${A} { }",
    "name x\n{\n}\n",
    "zzz = 1",
    "zzz { }",
    "user = ${A}",
    "user = \"x${A}y\"",
    "user = 'x${A}y'",
    "user = x${A}y",
    "user = ${NOPE:-def} data_file = \"a${NOPE:-def b}c\"",
    "user = \"a${NOPE:-\"q\"}c\"",
    "user = ${NOPE}",
    "user = \"${EMPTY:-x}\"",
    "user = ${EMPTY:-x}",
    "user = $HOME",
    "user = \"\\${A}\"",
    "user = \"$\"",
    "user = \"${NOPE:-${A}}\"",
    "user = ${A:-x}",
    "user = a b",
    "user = x ${A}",
    "/* a /* b */ user = c",
    "/***/ user = c",
    "/**/ user = c",
    "// a /* b\nuser = c",
    "# a \\\nuser = c",
    "user = a # b\ndata_file = c // d\nworkers = 2 /* e */ log_level = f",
    "user = a\r\ndata_file = b\r\n",
    "user = \xC3\xA9",
    "include(\"inc\")",
    "include(inc) user = b",
    "include ( 'inc', ) user = b",
    "include \"inc\"",
    "include(\"nope\")",
    "include(\"inc\", \"inc\")",
    "include()",
    "include(\"inc\"",
    "name x { include(\"in_name\") ttl = 2 }",
    "include(\"self\")",
    "include(\"nest\")",
};

const std::map<std::string, std::string> kIncluded = {{"inc", "user = \"from inc\"\n"},
                                                      {"in_name", "candidate c { }\n"},
                                                      {"self", "include(\"self\")\n"},
                                                      {"nest", "workers = 1\ninclude(\"inc\")\nlog_level = info\n"},
                                                      {"open", "name y { ttl = 1\n"}};

TEST(Oracle, OddFilesMeanTheSame) {
  const auto expected = theirs(kAgreed, kIncluded);
  for (std::size_t i = 0; i < kAgreed.size(); ++i) EXPECT_EQ(ours(kAgreed[i], kIncluded), expected[i]) << kAgreed[i];
}

// Where we differ on purpose. `theirs` and `ours` are as the readers print
// them; what is refused here names its reason in lexer.h or har.conf(5).
struct Difference {
  const char* why;
  std::string text, theirs, ours;
};

TEST(Oracle, DifferencesAreTheseAndNoOthers) {
  const std::vector<Difference> differences = {
      {"a file cut inside a section", "name x { ttl = 1\n", " name(x){ ttl=[1] }", "refused"},
      {"a file cut inside a comment", "user = a /* b\n", " user=[a]", "refused"},
      {"comments stand anywhere", "user = # b\na", "refused", " user=[a]"},
      {"comments stand anywhere", "nameservers = { a, # b\n c }", "refused", " nameservers=[a|c]"},
      {"comments stand anywhere", "name x # b\n{ }", "refused", " name(x){ }"},
      {"'*' belongs to words", "user = a* data_file = *b", " data_file=[b] user=[a]", " data_file=[*b] user=[a*]"},
      {"a lone '+' is dropped there", "user = + a", " user=[a]", "refused"},
      {"'/*' within a word", "user = a/*b", "refused", "refused"},
      {"control characters", "user = a\x01", " user=[a\\01]", "refused"},
      {"\\0 cuts the string there", "user = \"a\\0b\"", " user=[a]", "refused"},
      {"'${' without '}'", "user = \"${A\"", " user=[$\\7bA]", "refused"},
      {"a variable over lines", "user = \"${NOPE:-a\nb}\"", " user=[a\\0ab]", "refused"},
      {"a variable without name", "user = \"${}\"", " user=[]", "refused"},
      {"a variable of another shell", "user = ${A-x}", " user=[]", "refused"},
      {"text behind a variable", "user = ${A}data_file = b", " data_file=[b] user=[va]", "refused"},
      {"a port is not a comment", "user = 192.0.2.1#53\n", " user=[192.0.2.1]", "refused"},
      {"two sections of one title: reported by the rules, not by the reader", "name x { ttl = 1 } name x { ttl = 2 }",
       " name(x){ ttl=[2] }", " name(x){ ttl=[1] } name(x){ ttl=[2] }"},
      {"adding to a single value: reported by the rules", "user += b", "refused", " user=[b]"},
      {"a list for a single value: reported by the rules", "user = { b }", "refused", " user=[b]"},
      {"a section without its title: reported by the rules", "name { ttl = 1 }", "refused", " name(){ ttl=[1] }"},
      {"a title too many: reported by the rules", "defaults x { }", "refused", " defaults(x){ }"},
      {"';' is passed over, with a mistake", "user = a ;", "refused", "refused"},
      {"a brace closed by another file", "include(\"open\") }", " name(y){ ttl=[1] }", "refused"},
  };
  std::vector<std::string> texts;
  for (const auto& one : differences) texts.push_back(one.text);
  const auto expected = theirs(texts, kIncluded);
  for (std::size_t i = 0; i < differences.size(); ++i) {
    EXPECT_EQ(expected[i], differences[i].theirs) << "theirs: " << differences[i].why << ": " << texts[i];
    EXPECT_EQ(ours(texts[i], kIncluded), differences[i].ours) << "ours: " << differences[i].why << ": " << texts[i];
  }
}

TEST(Oracle, OurOwnFilesMeanTheSame) {
  std::vector<std::string> texts;
  for (const auto& entry : fs::directory_iterator(HAR_SOURCE_DIR "/tests/fuzz/corpus/config")) {
    const auto name = entry.path().filename().string();
    if (name == "original.conf" || name == "every_key.conf" || name == "lists.conf")
      texts.push_back(read_file(entry.path()));
  }
  ASSERT_EQ(texts.size(), 3u);
  const auto expected = theirs(texts, {});
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_NE(expected[i], "refused");
    EXPECT_EQ(ours(texts[i], {}), expected[i]) << texts[i];
  }
}

}  // namespace
}  // namespace har::config
