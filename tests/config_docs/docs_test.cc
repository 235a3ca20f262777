// The example file and the manual page against the schema and the reader.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "config/load.h"
#include "config/schema.h"
#include "config_docs/example.h"

namespace har::config {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kExamplePath = HAR_SOURCE_DIR "/conf/har.conf.example";
const std::string kManualPath = HAR_SOURCE_DIR "/doc/man/har.conf.5";

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

Loaded load_text(const std::string& text) {
  return load("test.conf", bundle_source({{"test.conf", text}}), bundle_environment({}));
}

std::string said(const std::vector<Mistake>& mistakes) {
  std::string out;
  for (const auto& one : mistakes) out += one.to_string() + "\n";
  return out;
}

// '#' goes where anything but a blank follows it.
std::string uncommented(const std::string& text) {
  std::stringstream in(text);
  std::string out, line;
  while (std::getline(in, line)) {
    const auto mark = line.find('#');
    const bool leads = mark != std::string::npos && line.find_first_not_of('\t') == mark;
    if (leads && mark + 1 < line.size() && line[mark + 1] != ' ') line.erase(mark, 1);
    out += line + "\n";
  }
  return out;
}

TEST(Example, IsWhatTheSchemaSays) {
  if (std::getenv("HAR_UPDATE_EXAMPLE") != nullptr) std::ofstream(kExamplePath) << config_docs::example_text();
  EXPECT_EQ(text_of(kExamplePath), config_docs::example_text())
      << "run config_docs_tests with HAR_UPDATE_EXAMPLE=1 to write it anew";
}

TEST(Example, AsItIsMeansTheDefaults) {
  const auto loaded = load_text(text_of(kExamplePath));
  ASSERT_THAT(said(loaded.mistakes), IsEmpty());
  const Config standard;
  EXPECT_EQ(loaded.config->data_file, standard.data_file);
  EXPECT_EQ(loaded.config->dns_bind_interfaces, standard.dns_bind_interfaces);
  EXPECT_TRUE(loaded.config->nameservers.empty());
  EXPECT_TRUE(loaded.config->names.empty());
}

TEST(Example, EveryKeyOccursAndEveryCommentedLineIsRight) {
  const auto text = uncommented(text_of(kExamplePath));
  const auto loaded = load_text(text);
  ASSERT_THAT(said(loaded.mistakes), IsEmpty()) << text;
  for (const auto& option : options()) EXPECT_THAT(text, HasSubstr(std::string(option.key) + " = "));
  ASSERT_EQ(loaded.config->names.size(), 1u);
  EXPECT_EQ(loaded.config->names[0].candidates.size(), 2u);
}

// Every default of the table, written out, gives the value that the plain struct has without it.
TEST(Schema, WrittenDefaultsAreTheDefaultsOfConfig) {
  std::string text;
  for (const auto& option : options()) {
    if (option.where == kAtTop && !option.standard.empty())
      text += fmt::format("{} = {}\n", option.key, option.standard);
  }
  text += "name www.example.com {\n";
  for (const auto& option : options()) {
    if ((option.where & kInName) != 0 && !option.standard.empty()) {
      text += fmt::format("{} = {}\n", option.key, option.standard);
    }
  }
  text += "candidate a.example.com {\n";
  for (const auto& option : options()) {
    if (option.where == kInCandidate && !option.standard.empty())
      text += fmt::format("{} = {}\n", option.key, option.standard);
  }
  text += "} }\n";
  const auto loaded = load_text(text);
  ASSERT_THAT(said(loaded.mistakes), IsEmpty()) << text;

  const Config standard;
  const Config& got = *loaded.config;
  EXPECT_EQ(got.data_file, standard.data_file);
  EXPECT_EQ(got.dns_listen_port, standard.dns_listen_port);
  EXPECT_EQ(got.dns_bind_interfaces,
            (std::vector<IpAddress>{*IpAddress::parse("127.0.0.1"), *IpAddress::parse("::1")}));
  EXPECT_EQ(got.allow_clients, standard.allow_clients);
  EXPECT_EQ(got.nameservers, standard.nameservers);
  EXPECT_EQ(got.resolver_timeout, standard.resolver_timeout);
  EXPECT_EQ(got.max_in_flight, standard.max_in_flight);
  EXPECT_EQ(got.tcp_idle_timeout, standard.tcp_idle_timeout);
  EXPECT_EQ(got.tcp_max_connections, standard.tcp_max_connections);
  EXPECT_EQ(got.tcp_max_in_flight, standard.tcp_max_in_flight);
  EXPECT_EQ(got.max_probes_in_flight, standard.max_probes_in_flight);
  EXPECT_EQ(got.max_tls_handshakes, standard.max_tls_handshakes);
  EXPECT_EQ(got.state_max_age, standard.state_max_age);
  EXPECT_EQ(got.workers, standard.workers);
  EXPECT_EQ(got.control_socket, standard.control_socket);
  EXPECT_EQ(got.http_listen, standard.http_listen);
  EXPECT_EQ(got.log_level, standard.log_level);
  EXPECT_EQ(got.user, standard.user);

  ASSERT_EQ(got.names.size(), 1u);
  const Name plain;
  const Name& name = got.names[0];
  EXPECT_EQ(name.ttl, plain.ttl);
  EXPECT_EQ(name.answer_count, plain.answer_count);
  EXPECT_EQ(name.min_available, plain.min_available);
  EXPECT_EQ(name.selection_method, plain.selection_method);
  EXPECT_EQ(name.group_rtt_threshold, plain.group_rtt_threshold);
  EXPECT_EQ(name.switch_margin, plain.switch_margin);
  EXPECT_EQ(name.switch_margin_min, plain.switch_margin_min);
  EXPECT_EQ(name.switch_dwell, plain.switch_dwell);
  EXPECT_EQ(name.rtt_mode, plain.rtt_mode);
  EXPECT_EQ(name.max_rtt, plain.max_rtt);
  EXPECT_EQ(name.failure_mode, plain.failure_mode);
  EXPECT_EQ(name.fixed_addresses, plain.fixed_addresses);
  EXPECT_EQ(name.https_records, plain.https_records);
  EXPECT_EQ(name.thresholds, plain.thresholds);
  ASSERT_EQ(name.candidates.size(), 1u);
  Check check;
  check.host = check.http_host = "a.example.com";
  EXPECT_EQ(*name.candidates[0].check, check);
  EXPECT_EQ(name.candidates[0].tier, Candidate().tier);
  EXPECT_EQ(name.candidates[0].weight, Candidate().weight);
}

// mdoc to text, as far as the examples of the manual need it.
std::string unescaped(std::string line) {
  for (const auto& [from, to] : {std::pair{"\\(dq", "\""}, {"\\e", "\\"}, {"\\-", "-"}, {"\\&", ""}}) {
    for (auto at = line.find(from); at != std::string::npos; at = line.find(from, at + std::string(to).size())) {
      line.replace(at, std::string(from).size(), to);
    }
  }
  return line;
}

// The text of each .Bd -literal ... .Ed; those whose first line is not configuration are marked in the source.
std::vector<std::string> examples_of(const std::string& manual) {
  std::vector<std::string> out;
  std::stringstream in(manual);
  std::string line;
  bool inside = false, configuration = true;
  while (std::getline(in, line)) {
    if (line.find("\\\" not configuration") != std::string::npos) configuration = false;
    if (line.rfind(".Bd -literal", 0) == 0) {
      inside = true;
      if (configuration) out.emplace_back();
    } else if (line.rfind(".Ed", 0) == 0) {
      inside = false;
      configuration = true;
    } else if (inside && configuration) {
      out.back() += unescaped(line) + "\n";
    }
  }
  return out;
}

TEST(Manual, ItsExamplesAreAccepted) {
  const auto examples = examples_of(text_of(kManualPath));
  EXPECT_GE(examples.size(), 5u);
  for (const auto& example : examples) {
    const auto loaded =
        load("test.conf", bundle_source({{"test.conf", example}, {"names.conf", "ttl_is_not_here = 1"}}),
             bundle_environment({{"RESOLVER", "192.0.2.53"}}));
    std::string mistakes;
    for (const auto& one : loaded.mistakes) {
      if (one.file == "test.conf") mistakes += one.to_string() + "\n";
    }
    EXPECT_THAT(mistakes, IsEmpty()) << example;
  }
}

TEST(Manual, DescribesEveryKeyWithItsDefault) {
  const auto manual = text_of(kManualPath);
  for (const auto& option : options()) {
    const auto at = manual.find(fmt::format(".It Ic {} No =", option.key));
    ASSERT_NE(at, std::string::npos) << option.key;
    if (option.standard.empty() || option.standard == "\"\"" || option.standard == "{ }") continue;
    const auto entry = manual.substr(at, manual.find('\n', at) + 1 - at);
    std::string standard(option.standard);
    if (standard.front() == '"') standard = standard.substr(1, standard.size() - 2);
    if (standard.front() == '{') standard = standard.substr(2, standard.size() - 4);
    EXPECT_THAT(entry, HasSubstr(fmt::format(" Pq Li {}\n", standard))) << option.key;
  }
}

TEST(Manual, ListsEveryWordOfAnOption) {
  const auto manual = text_of(kManualPath);
  for (const auto& option : options()) {
    if (option.kind != Kind::kWord) continue;
    const auto at = manual.find(fmt::format(".It Ic {} No =", option.key));
    ASSERT_NE(at, std::string::npos) << option.key;
    const auto entry = manual.substr(at, manual.find("\n.It Ic", at + 1) - at);
    for (const auto& word : option.words) EXPECT_THAT(entry, HasSubstr("Li " + std::string(word.text))) << option.key;
  }
}

}  // namespace
}  // namespace har::config
