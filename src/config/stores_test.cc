#include "config/stores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/test_text.h"

namespace har::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Config config_of(const std::string& text) {
  const auto loaded = load_text(text);
  EXPECT_EQ(said(loaded.mistakes), "") << text;
  return loaded.config ? *loaded.config : Config{};
}

template <class T>
std::vector<std::string> texts(const std::vector<T>& list) {
  std::vector<std::string> out;
  for (const auto& one : list) out.push_back(one.to_string());
  return out;
}

TEST(Nameservers, AreReadInAllForms) {
  const auto config = config_of(R"(nameservers = { "192.0.2.1", "192.0.2.2#5353", "192.0.2.3:53", "[2001:db8::1]:53" }
                                   nameservers += 2001:db8::2)");
  EXPECT_THAT(texts(config.nameservers),
              ElementsAre("192.0.2.1#53", "192.0.2.2#5353", "192.0.2.3#53", "2001:db8::1#53", "2001:db8::2#53"));
  EXPECT_THAT(config_of("nameservers = { }").nameservers, IsEmpty());
}

TEST(Nameservers, EachWrongOneIsReportedAtItsLine) {
  EXPECT_EQ(mistakes_of("nameservers = { 192.0.2.1,\n dns.example.com,\n 0.0.0.0,\n \"192.0.2.1#53\",\n ff02::1 }"),
            "t:2: nameservers: 'dns.example.com' is no IP address; write 192.0.2.1, 192.0.2.1:53, 192.0.2.1#53 or "
            "[2001:db8::1]:53\n"
            "t:3: nameservers: '0.0.0.0' is no host's address; write the resolver's own\n"
            "t:4: nameservers: '192.0.2.1#53' is listed twice; remove one\n"
            "t:5: nameservers: 'ff02::1' is no host's address; write the resolver's own\n");
}

TEST(Binds, AreAddressesAndNothingElse) {
  EXPECT_THAT(texts(config_of("dns_bind_interfaces = { 127.0.0.1, ::1, 0.0.0.0 }").dns_bind_interfaces),
              ElementsAre("127.0.0.1", "::1", "0.0.0.0"));
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = eth0"), HasSubstr("interface names are not taken"));
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = \"127.0.0.1#5353\""),
              HasSubstr("the port is set by dns_listen_port; write 127.0.0.1"));
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = 127.0.0.1:5353"),
              HasSubstr("the port is set by dns_listen_port; write 127.0.0.1"));
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = 127.0.0.1/8"), HasSubstr("write 127.0.0.1"));
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = fe80::1"), HasSubstr("link-local"));
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = fe80::1%eth0"), HasSubstr("link-local"));
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = 224.0.0.1"), HasSubstr("no host's address"));
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = { 127.0.0.1, 127.0.0.1 }"), HasSubstr("listed twice"));
  EXPECT_THAT(mistakes_of("dns_bind_interfaces = ::ffff:127.0.0.1"), HasSubstr("write 127.0.0.1"));
}

TEST(Binds, AddToTheDefault) {
  EXPECT_THAT(texts(config_of("dns_bind_interfaces += 169.254.20.10").dns_bind_interfaces),
              ElementsAre("127.0.0.1", "::1", "169.254.20.10"));
  EXPECT_TRUE(config_of("dns_bind_interfaces += 169.254.20.10").bind_default_v6) << "a host without ::1 must start";
  EXPECT_FALSE(config_of("dns_bind_interfaces = ::1 dns_bind_interfaces += 169.254.20.10").bind_default_v6);
  EXPECT_FALSE(config_of("").bind_default_v6);
}

TEST(AllowClients, AreNetworks) {
  EXPECT_THAT(texts(config_of("allow_clients = { 192.0.2.0/24, 2001:db8::/32, 10.1.2.3 }").allow_clients),
              ElementsAre("192.0.2.0/24", "2001:db8::/32", "10.1.2.3/32"));
  EXPECT_THAT(mistakes_of("allow_clients = { 192.0.2.0/33, localnet }"), HasSubstr("'192.0.2.0/33' is no network"));
  EXPECT_THAT(warnings_of("allow_clients = 192.0.2.1/24"), HasSubstr("counts as 192.0.2.0/24"));
}

TEST(AllowClients, AddToTheDefault) {
  const Config added = config_of("allow_clients += 10.0.0.0/8");
  EXPECT_THAT(texts(added.allow_clients), ElementsAre("10.0.0.0/8"));
  EXPECT_TRUE(added.allow_clients_added);
  const Config written = config_of("allow_clients = 10.0.0.0/8 allow_clients += 192.0.2.1");
  EXPECT_THAT(texts(written.allow_clients), ElementsAre("10.0.0.0/8", "192.0.2.1/32"));
  EXPECT_FALSE(written.allow_clients_added);
  EXPECT_FALSE(config_of("").allow_clients_added);
}

TEST(Lists, CannotGrowWithoutBoundByAdding) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "nameservers += 192.0.2." + std::to_string(i + 1) + "\n";
  EXPECT_THAT(mistakes_of(text), HasSubstr("t:17: nameservers: '192.0.2.17' is one too many; 16 are possible"));
}

TEST(HttpListen, IsAnAddressWithAPort) {
  EXPECT_EQ(config_of("http_listen = 127.0.0.1:8053").http_listen->to_string(), "127.0.0.1#8053");
  EXPECT_EQ(config_of("http_listen = \"[::1]:8053\"").http_listen->to_string(), "::1#8053");
  EXPECT_EQ(config_of("http_listen = off").http_listen, std::nullopt);
  EXPECT_THAT(mistakes_of("http_listen = 127.0.0.1"), HasSubstr("says no port"));
  EXPECT_THAT(mistakes_of("http_listen = 8053"), HasSubstr("or 'off'"));
  EXPECT_THAT(mistakes_of("http_listen = localhost:8053"), HasSubstr("no IP address"));
}

TEST(Paths, AreAbsolute) {
  EXPECT_EQ(config_of("data_file = /srv/har.db").data_file, "/srv/har.db");
  EXPECT_EQ(config_of("control_socket = \"/run/x.sock\"").control_socket, "/run/x.sock");
  EXPECT_THAT(mistakes_of("data_file = har.db"), HasSubstr("no absolute path"));
  EXPECT_THAT(mistakes_of("data_file = \"\""), HasSubstr("no absolute path"));
  EXPECT_THAT(mistakes_of("data_file = /var/lib/"), HasSubstr("names a folder"));
  EXPECT_THAT(mistakes_of("control_socket = /" + std::string(107, 'x')), HasSubstr("107 are possible"));
  EXPECT_THAT(mistakes_of("control_socket = /" + std::string(106, 'x')), IsEmpty());
  EXPECT_THAT(mistakes_of("data_file = \"/a\\nb\""), HasSubstr("control character"));
}

TEST(User, IsAName) {
  EXPECT_EQ(config_of("user = har").user, "har");
  EXPECT_THAT(mistakes_of("user = \"har har\""), HasSubstr("no name of a user"));
  EXPECT_THAT(mistakes_of("user = -x"), HasSubstr("no name of a user"));
}

TEST(FixedAddresses, AreAtMostEightOfAFamily) {
  const auto name = config_of(in_name("failure_mode = fixed fixed_addresses = { 192.0.2.1, 2001:db8::1 }")).names[0];
  EXPECT_THAT(texts(name.fixed_addresses), ElementsAre("192.0.2.1", "2001:db8::1"));
  std::string nine = "fixed_addresses = { 2001:db8::1";
  for (int i = 1; i <= 9; ++i) nine += ", 192.0.2." + std::to_string(i);
  EXPECT_THAT(mistakes_of(in_name("failure_mode = fixed " + nine + " }")), HasSubstr("'192.0.2.9' is one too many"));
  EXPECT_THAT(mistakes_of(in_name("failure_mode = fixed fixed_addresses = { www }")), HasSubstr("no IP address"));
}

TEST(Headers, AreOneLineEach) {
  const auto config =
      config_of(in_candidate("check_headers = { \"Accept: text/html\", \"X-A:b\" } check_headers += \"X-C: d\""));
  EXPECT_THAT(config.names[0].candidates[0].check->http->headers, ElementsAre("Accept: text/html", "X-A:b", "X-C: d"));
  EXPECT_THAT(mistakes_of(in_candidate("check_headers = \"Accept\"")), HasSubstr("has no ':'"));
  EXPECT_THAT(mistakes_of(in_candidate("check_headers = \"X Y: z\"")), HasSubstr("no name of a header"));
  EXPECT_THAT(mistakes_of(in_candidate("check_headers = \": z\"")), HasSubstr("no name of a header"));
  EXPECT_THAT(mistakes_of(in_candidate("check_headers = \"X:  \"")), HasSubstr("has no value"));
  EXPECT_THAT(mistakes_of(in_candidate("check_headers = \"X: a\\r\\nY: b\"")), HasSubstr("control character"));
  EXPECT_THAT(mistakes_of(in_candidate("check_headers = \"host: a\"")), HasSubstr("check_host"));
  EXPECT_THAT(mistakes_of(in_candidate("check_headers = \"Content-Length: 1\"")),
              HasSubstr("belongs to the connection"));
}

TEST(ExpectStatus, IsNumbersAndRangesInOneOrder) {
  const auto of = [](const std::string& value) {
    std::string out;
    const auto config = config_of(in_candidate("expect_status " + value));
    for (const auto& range : config.names[0].candidates[0].check->http->expect_status) {
      out += std::to_string(range.first) + "-" + std::to_string(range.last) + " ";
    }
    return out;
  };
  EXPECT_EQ(of("= { 200-299, 301 }"), "200-299 301-301 ");
  EXPECT_EQ(of("= { 301, 250-299, 200-249, 210 }"), "200-299 301-301 ");
  EXPECT_EQ(of("= \"200-299, 404\""), "200-299 404-404 ");
  EXPECT_EQ(of("= 204"), "204-204 ");
  EXPECT_EQ(of("+= 301"), "200-299 301-301 ") << "'+=' adds to the default";
  for (const auto* wrong : {"99", "600", "299-200", "2xx", "200-", "-200", "200--201", "ok"}) {
    EXPECT_THAT(mistakes_of(in_candidate(std::string("expect_status = ") + wrong)), HasSubstr("is no status")) << wrong;
  }
  EXPECT_THAT(mistakes_of(in_candidate("expect_status = \"\"")), HasSubstr("an empty text is no status"));
  EXPECT_THAT(mistakes_of(in_candidate("expect_status = { }")), HasSubstr("an empty list"));
}

}  // namespace
}  // namespace har::config
