#include "config/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/test_text.h"

namespace har::config {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::IsEmpty;

Config config_of(const std::string& text) {
  const auto loaded = load_text(text);
  EXPECT_EQ(said(loaded.mistakes), "") << text;
  return loaded.config ? *loaded.config : Config{};
}

Check check_of(const std::string& options) {
  return config_of(in_candidate(options)).names.at(0).candidates.at(0).check;
}

TEST(Inheritance, GoesFromDefaultsToNameToCandidate) {
  const auto config = config_of(
      "name a.example { candidate x { } candidate y { check_timeout = 0.5 } ttl = 7 }\n"
      "name b.example { check_timeout = 0.25 candidate x { } }\n"
      "defaults { check_timeout = 0.75 ttl = 5 fall = 4 check_headers = { \"A: b\" } }\n");
  ASSERT_EQ(config.names.size(), 2u);
  EXPECT_EQ(config.names[0].candidates[0].check->timeout, milliseconds(750)) << "defaults count wherever they stand";
  EXPECT_EQ(config.names[0].candidates[1].check->timeout, milliseconds(500));
  EXPECT_EQ(config.names[1].candidates[0].check->timeout, milliseconds(250));
  EXPECT_EQ(config.names[0].ttl, 7u);
  EXPECT_EQ(config.names[1].ttl, 5u);
  EXPECT_EQ(config.names[1].thresholds.fall, 4u);
}

TEST(Inheritance, ListsCanBeAddedTo) {
  const auto config =
      config_of("defaults { check_headers = { \"A: b\" } }\n" + in_candidate("check_headers += { \"C: d\" }"));
  EXPECT_EQ(config.names[0].candidates[0].check->http->headers, (std::vector<std::string>{"A: b", "C: d"}));
}

TEST(CheckFrequencyChanging, IsAQuarterOfTheFrequencyThatHolds) {
  EXPECT_EQ(check_of("").frequency_changing, milliseconds(500));
  EXPECT_EQ(check_of("check_frequency = 30").frequency_changing, milliseconds(7500));
  EXPECT_EQ(check_of("check_frequency_changing = 1").frequency_changing, milliseconds(1000));
  const auto config = config_of("defaults { check_frequency_changing = 0.2 }" + in_candidate("check_frequency = 30"));
  EXPECT_EQ(config.names[0].candidates[0].check->frequency_changing, milliseconds(200));
}

TEST(CheckFrequencyChanging, IsAtMostTheFrequency) {
  EXPECT_THAT(mistakes_of(in_candidate("check_frequency = 1\ncheck_frequency_changing = 2")),
              HasSubstr("t:4: check_frequency_changing (2) is more than check_frequency (1)"));
  EXPECT_THAT(mistakes_of("defaults { check_frequency_changing = 2 }\n" + in_candidate("check_frequency = 1")),
              HasSubstr("t:4: check_frequency_changing (2)"))
      << "the innermost of the two is the one to change";
}

TEST(Candidate, IsCheckedAtItsAddress) {
  const auto check = check_of("check_address = \"https://API1.example.com:8443/x?y\" check_host = WWW.example.com.");
  EXPECT_EQ(check.method, CheckMethod::kHttps);
  EXPECT_EQ(check.host, "api1.example.com");
  EXPECT_EQ(check.port, 8443);
  EXPECT_EQ(check.http->path, "/x?y");
  EXPECT_EQ(check.http_host, "www.example.com");
}

TEST(Candidate, WithoutAddressIsCheckedAtItsTitle) {
  const auto config = config_of(
      "name a.example { check_method = https check_path = /healthz\n"
      "candidate One.Example. { }\ncandidate 2001:db8::1 { check_port = 8443 }\ncandidate c { check_method = tcp "
      "check_port = 22 } }");
  const auto& candidates = config.names[0].candidates;
  EXPECT_EQ(candidates[0].title, "One.Example.");
  EXPECT_EQ(candidates[0].check->host, "one.example");
  EXPECT_EQ(candidates[0].check->http_host, "one.example");
  EXPECT_EQ(candidates[0].check->port, 443);
  EXPECT_EQ(candidates[0].check->http->path, "/healthz");
  EXPECT_EQ(candidates[0].line, 2);
  EXPECT_EQ(candidates[1].check->host, "2001:db8::1");
  EXPECT_EQ(candidates[1].check->port, 8443);
  EXPECT_EQ(candidates[2].check->method, CheckMethod::kTcp);
  EXPECT_EQ(candidates[2].check->port, 22);
}

TEST(Candidate, MayBearTheConfiguredName) {
  EXPECT_EQ(config_of("name a.example { candidate a.example { } }").names[0].candidates[0].check->host, "a.example");
}

TEST(Candidate, CannotSayTheSameTwice) {
  const auto mistakes =
      mistakes_of(in_candidate("check_address = \"http://x/\"\ncheck_method = tcp\ncheck_port = 81\ncheck_path = /y"));
  EXPECT_THAT(mistakes, HasSubstr("t:4: check_method beside check_address"));
  EXPECT_THAT(mistakes, HasSubstr("t:5: check_port beside check_address"));
  EXPECT_THAT(mistakes, HasSubstr("t:6: check_path beside check_address"));
  EXPECT_THAT(mistakes_of("defaults { check_port = 81 }" + in_candidate("check_address = \"http://x/\"")), IsEmpty())
      << "what is inherited gives way";
}

TEST(Candidate, NeedsAHostOrAnAddress) {
  EXPECT_THAT(mistakes_of("name a.example {\ncandidate 'east one' { } }"),
              HasSubstr("t:2: candidate: ' ' cannot stand in a host"));
  EXPECT_THAT(mistakes_of("name a.example {\ncandidate 'east one' { check_address = \"http://x/\" } }"), IsEmpty());
  EXPECT_THAT(mistakes_of("name a.example {\ncandidate { } }"), HasSubstr("t:2: a candidate without a title"));
  EXPECT_THAT(mistakes_of(in_candidate("check_method = tcp")), HasSubstr("a TCP check needs check_port"));
  EXPECT_THAT(mistakes_of(in_candidate("check_method = tcp check_port = x")),
              testing::Not(HasSubstr("needs check_port")));
}

TEST(Candidate, TcpHasNoHttpOptions) {
  for (const auto* option : {"check_host = x", "check_headers = \"A: b\"", "check_tls_verify = no",
                             "check_ca_file = /x", "expect_status = 200", "expect_body = ok"}) {
    EXPECT_THAT(mistakes_of(in_candidate(std::string("check_address = \"tcp://x:1\"\n") + option)),
                HasSubstr("says nothing to a TCP check"))
        << option;
  }
  EXPECT_THAT(mistakes_of("defaults { expect_body = ok }" + in_candidate("check_address = \"tcp://x:1\"")), IsEmpty());
  EXPECT_THAT(mistakes_of("name a.example {\nexpect_body = ok\ncandidate x { check_address = \"tcp://x:1\" } }"),
              HasSubstr("t:2: expect_body says nothing: every check of this name is a TCP check"));
  EXPECT_THAT(
      mistakes_of(
          "name a.example {\nexpect_body = ok\ncandidate x { check_address = \"tcp://x:1\" } candidate y { } }"),
      IsEmpty());
}

TEST(Candidate, SameChecksCompareEqualHoweverWritten) {
  const auto plain = check_of("check_address = \"tcp://x:1\"");
  const auto config =
      config_of("defaults { expect_body = ok check_host = y check_headers = \"A: b\" check_ca_file = /x }\n" +
                in_candidate("check_address = \"tcp://X.:1\""));
  EXPECT_EQ(*config.names[0].candidates[0].check, plain);
  const auto http =
      config_of("defaults { check_ca_file = /x check_tls_verify = no expect_status = { 250-299, 200-249 } }" +
                in_candidate("check_address = \"http://x\""));
  EXPECT_EQ(http.names[0].candidates[0].check, SharedCheck(check_of("check_address = \"HTTP://X:80/\"")));
}

TEST(Name, IsFoldedAndMustBeOne) {
  EXPECT_EQ(config_of("name WWW.Example.COM. { candidate x { } }").names[0].host, "www.example.com");
  EXPECT_THAT(mistakes_of("name *.example.com { candidate x { } }"), HasSubstr("t:1: name: wildcards"));
  EXPECT_THAT(mistakes_of("name 192.0.2.1 { candidate x { } }"), HasSubstr("is an address"));
  EXPECT_THAT(mistakes_of("name { candidate x { } }"), HasSubstr("t:1: a name without its host name"));
  EXPECT_THAT(mistakes_of("\nname a.example { }"), HasSubstr("t:2: name 'a.example' has no candidate"));
}

TEST(Duplicates, AreFoundAfterFolding) {
  EXPECT_EQ(mistakes_of("name a.example { candidate x { } }\nname A.EXAMPLE. { candidate x { } }\n"),
            "t:2: name 'A.EXAMPLE.' is given twice, first on line 1; join them\n");
  EXPECT_THAT(mistakes_of("name a.example {\ncandidate x { }\ncandidate X. { }\n}"),
              HasSubstr("t:3: candidate 'X.' is given twice in this name, first on line 2"));
  EXPECT_THAT(mistakes_of("defaults { }\ndefaults { }"), HasSubstr("t:2: 'defaults' is given twice, first on line 1"));
  EXPECT_THAT(warnings_of("dns_listen_port = 53\ndns_listen_port = 54"),
              HasSubstr("t:2: dns_listen_port replaces the value given before (line 1)"));
}

TEST(Duplicates, NameTheOtherFile) {
  const auto loaded = load_texts(
      {{"t", "include(f)\nname a.example { candidate x { } }"}, {"f", "\nname a.example { candidate x { } }"}});
  EXPECT_EQ(said(loaded.mistakes), "t:2: name 'a.example' is given twice, first on f:2; join them\n");
}

TEST(FailureMode, FixedNeedsAddresses) {
  EXPECT_THAT(mistakes_of(in_name("failure_mode = fixed")),
              HasSubstr("t:2: failure_mode = fixed without fixed_addresses"));
  EXPECT_THAT(mistakes_of("defaults { failure_mode = fixed }\n" + in_name("")),
              HasSubstr("t:2: failure_mode = fixed without"));
  EXPECT_THAT(mistakes_of("defaults { failure_mode = fixed }\n" + in_name("fixed_addresses = 192.0.2.1")), IsEmpty());
  EXPECT_THAT(warnings_of(in_name("fixed_addresses = 192.0.2.1")), HasSubstr("count only with failure_mode = fixed"));
}

TEST(FailureMode, NoneMeansForward) {
  EXPECT_EQ(config_of(in_name("failure_mode = none")).names[0].failure_mode, FailureMode::kForward);
  EXPECT_EQ(config_of(in_name("failure_mode = forward")).names[0].failure_mode, FailureMode::kForward);
}

TEST(Optionals, HaveWordsForNoLimit) {
  const auto name =
      config_of(in_name("selection_method = group_rtt_rr group_rtt_threshold = 0.01 max_rtt = 0.5")).names[0];
  EXPECT_EQ(name.group_rtt_threshold, milliseconds(10));
  EXPECT_EQ(name.max_rtt, milliseconds(500));
  const auto none = config_of("defaults { group_rtt_threshold = 1 max_rtt = 1 }" +
                              in_name("selection_method = group_rtt_rr group_rtt_threshold = infinite max_rtt = none"))
                        .names[0];
  EXPECT_EQ(none.group_rtt_threshold, std::nullopt);
  EXPECT_EQ(none.max_rtt, std::nullopt);
}

TEST(Warnings, SayWhatHasNoEffect) {
  EXPECT_THAT(warnings_of(in_candidate("weight = 3")),
              HasSubstr("weight counts only with selection_method = weighted"));
  EXPECT_THAT(warnings_of(in_name("group_rtt_threshold = 1")),
              HasSubstr("counts only with selection_method = group_rtt_rr"));
  EXPECT_THAT(warnings_of(in_name("selection_method = hash switch_dwell = 1")), HasSubstr("switch_dwell counts only"));
  EXPECT_THAT(warnings_of(in_candidate("check_tls_verify = no")), HasSubstr("says nothing to a check by http"));
  EXPECT_THAT(warnings_of(in_candidate("check_frequency = 0.1")),
              HasSubstr("is more than check_frequency times fall (0.3)"));
  EXPECT_THAT(warnings_of(""), HasSubstr("no name is configured"));
  EXPECT_THAT(warnings_of(in_name("")), IsEmpty());
}

TEST(Upstreams, CannotBeHardItself) {
  EXPECT_THAT(mistakes_of("nameservers = { 192.0.2.1,\n127.0.0.1 }"),
              HasSubstr("t:2: nameservers: '127.0.0.1#53' is hard itself"));
  EXPECT_THAT(mistakes_of("nameservers = ::1"), HasSubstr("hard itself"));
  EXPECT_THAT(mistakes_of("nameservers = 127.0.0.53"), IsEmpty());
  EXPECT_THAT(mistakes_of("nameservers = \"127.0.0.1#5353\""), IsEmpty());
  EXPECT_THAT(mistakes_of("nameservers = 127.0.0.1:5353\ndns_listen_port = 5353"),
              HasSubstr("t:1: nameservers: '127.0.0.1#5353'"));
  EXPECT_THAT(mistakes_of("nameservers = 127.0.0.1 dns_bind_interfaces = 192.0.2.1"), IsEmpty());
  EXPECT_THAT(mistakes_of("nameservers = 192.0.2.1 dns_bind_interfaces = 192.0.2.1"), HasSubstr("hard itself"));
  EXPECT_THAT(mistakes_of("nameservers = 127.0.0.9 dns_bind_interfaces = 0.0.0.0"), HasSubstr("hard itself"));
  EXPECT_THAT(mistakes_of("http_listen = 127.0.0.1:53"), HasSubstr("hard answers DNS at this address"));
}

TEST(Place, OfEveryOptionIsChecked) {
  EXPECT_THAT(mistakes_of("ttl = 5"), HasSubstr("t:1: ttl cannot stand here; write it in a name or in 'defaults { }'"));
  EXPECT_THAT(mistakes_of(in_name("data_file = /x")),
              HasSubstr("data_file cannot stand here; write it outside of all sections"));
  EXPECT_THAT(mistakes_of(in_name("tier = 1")), HasSubstr("tier cannot stand here; write it in a candidate"));
  EXPECT_THAT(mistakes_of(in_candidate("ttl = 1")), HasSubstr("ttl cannot stand here"));
  EXPECT_THAT(mistakes_of("check_timeout = 1"), HasSubstr("in a name, in a candidate or in 'defaults { }'"));
  EXPECT_THAT(mistakes_of("candidate x { }"),
              HasSubstr("a candidate outside of all sections; write it inside its name"));
  EXPECT_THAT(mistakes_of("defaults { candidate x { } }"), HasSubstr("a candidate inside 'defaults'"));
  EXPECT_THAT(mistakes_of("defaults x { }"), HasSubstr("'defaults' has no title"));
  EXPECT_THAT(mistakes_of("ttl { }"), HasSubstr("'ttl' is no section; write 'ttl = 0'"));
  EXPECT_THAT(mistakes_of("name = x"), HasSubstr("'name' is a section; write 'name www.example.com { ... }'"));
  EXPECT_THAT(mistakes_of("include = x"), HasSubstr("include takes parentheses"));
}

TEST(Unknown, KeysGetTheNearestOne) {
  EXPECT_THAT(mistakes_of(in_name("check_frequancy = 3")),
              HasSubstr("t:2: 'check_frequancy' is unknown; did you mean 'check_frequency'?"));
  EXPECT_THAT(mistakes_of(in_name("check_adress = 3")),
              HasSubstr("did you mean 'check_address', which stands in a candidate?"));
  EXPECT_THAT(mistakes_of("nmae x { }"), HasSubstr("did you mean 'name'?"));
  EXPECT_THAT(mistakes_of("TTL = 1"), HasSubstr("did you mean 'ttl'"));
  EXPECT_THAT(mistakes_of("colour = red"), HasSubstr("'colour' is no key that is known here"));
}

TEST(Unknown, SectionsAreReadAsWhatWasMeant) {
  EXPECT_EQ(mistakes_of("nmae a.example {\nttl = x\ncandidat y {\ntier = z } }\ndefault {\nfall = 0 }"),
            "t:1: 'nmae' is unknown; did you mean 'name'?\n"
            "t:2: ttl: 'x' is no whole number; write one such as 3\n"
            "t:3: 'candidat' is unknown; did you mean 'candidate'?\n"
            "t:4: tier: 'z' is no whole number; write one such as 3\n"
            "t:5: 'default' is unknown; did you mean 'defaults'?\n"
            "t:6: fall: '0' is out of range; write 1 to 100\n");
}

TEST(MissingInclude, IsNotTakenForMissingCandidates) {
  EXPECT_EQ(mistakes_of("name a.example {\nfailure_mode = fixed\ninclude(nope)\n}\nnameservers = 127.0.0.1"),
            "t:3: cannot include 'nope': not among the files that were kept; name a file that can be read\n");
}

TEST(MissingBrace, IsSaidOnceAndTheFollowingNamesAreStillRead) {
  EXPECT_EQ(mistakes_of("name a.example {\ncandidate x { }\n\nname b.example {\nttl = x\ncandidate y { } }\n"
                        "name c.example { candidate z { } }\n"),
            "t:1: the section 'name' 'a.example' is not closed; add '}' where it ends\n"
            "t:4: 'name' inside the section of line 1; write it outside of all sections, or is a '}' missing above?\n"
            "t:5: ttl: 'x' is no whole number; write one such as 3\n");
}

}  // namespace
}  // namespace har::config
