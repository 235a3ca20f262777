#include "config/host_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace har::config {
namespace {

using testing::HasSubstr;

std::string host_name(std::string_view text) {
  const auto out = parse_host_name(text);
  return out ? *out : "! " + out.error().message;
}
std::string check_host(std::string_view text) {
  const auto out = parse_check_host(text);
  return out ? *out : "! " + out.error().message;
}
std::string url(std::string_view text) {
  const auto out = parse_check_address(text);
  if (!out) return "! " + out.error().message;
  const auto* method = out->method == CheckMethod::kHttp    ? "http"
                       : out->method == CheckMethod::kHttps ? "https"
                                                            : "tcp";
  return std::string(method) + " " + out->host + " " + std::to_string(out->port) + " " + out->path;
}
std::string ip_port(std::string_view text, std::optional<std::uint16_t> port = 53) {
  const auto out = parse_ip_port(text, port);
  if (!out) return "! " + out.error().message;
  return out->to_string() + (out->scope != 0 ? "%" + std::to_string(out->scope) : "");
}

TEST(HostName, IsFoldedAndLosesItsTrailingDot) {
  EXPECT_EQ(host_name("WWW.Example.COM."), "www.example.com");
  EXPECT_EQ(host_name("api"), "api");
  EXPECT_EQ(host_name("_sip._tcp.x-1.example"), "_sip._tcp.x-1.example");
  EXPECT_EQ(host_name("1.2.3.4a"), "1.2.3.4a");
  EXPECT_EQ(host_name(std::string(63, 'a') + ".b"), std::string(63, 'a') + ".b");
}

TEST(HostName, RefusesWhatIsNone) {
  EXPECT_THAT(host_name(""), HasSubstr("is no host name"));
  EXPECT_THAT(host_name("."), HasSubstr("is no host name"));
  EXPECT_THAT(host_name("a..b"), HasSubstr("empty label"));
  EXPECT_THAT(host_name(".a"), HasSubstr("empty label"));
  EXPECT_THAT(host_name("a.."), HasSubstr("empty label"));
  EXPECT_THAT(host_name("*.example.com"), HasSubstr("wildcards"));
  EXPECT_THAT(host_name("192.0.2.1"), HasSubstr("is an address"));
  EXPECT_THAT(host_name("::1"), HasSubstr("is an address"));
  EXPECT_THAT(host_name("192.0.2.256"), HasSubstr("neither a host name nor an address"));
  EXPECT_THAT(host_name("192.0.2"), HasSubstr("neither"));
  EXPECT_THAT(host_name("m\xC3\xBC.example"), HasSubstr("xn--"));
  EXPECT_THAT(host_name("http://a/"), HasSubstr("write the name alone"));
  EXPECT_THAT(host_name("a:80"), HasSubstr("write the name alone"));
  EXPECT_THAT(host_name("a b"), HasSubstr("' ' cannot stand"));
  EXPECT_THAT(host_name("a\\046b"), HasSubstr("cannot stand"));
  EXPECT_THAT(host_name(std::string(64, 'a')), HasSubstr("longer than a label"));
  std::string longest;
  for (int i = 0; i < 63; ++i) longest += "abc.";
  EXPECT_THAT(host_name(longest + "abcd"), HasSubstr("longer than a name"));
  EXPECT_EQ(host_name(longest + "a").size(), 253u);
}

TEST(CheckHost, MayBeAnAddress) {
  EXPECT_EQ(check_host("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(check_host("[2001:DB8::1]"), "2001:db8::1");
  EXPECT_EQ(check_host("2001:db8::1"), "2001:db8::1");
  EXPECT_THAT(check_host("[192.0.2.1]"), HasSubstr("no IPv6 address"));
  EXPECT_THAT(check_host("0.0.0.0"), HasSubstr("no host's address"));
  EXPECT_THAT(check_host("224.0.0.1"), HasSubstr("no host's address"));
  EXPECT_THAT(check_host("ff02::1"), HasSubstr("no host's address"));
  EXPECT_THAT(check_host("fe80::1"), HasSubstr("link-local"));
  EXPECT_THAT(check_host("::ffff:192.0.2.1"), HasSubstr("write 192.0.2.1"));
}

TEST(CheckAddress, IsUnderstood) {
  EXPECT_EQ(url("http://www1.example.com/"), "http www1.example.com 80 /");
  EXPECT_EQ(url("http://www1.example.com"), "http www1.example.com 80 /");
  EXPECT_EQ(url("HTTPS://WWW1.example.com.:8443/a/b?c=d&e=%20"), "https www1.example.com 8443 /a/b?c=d&e=%20");
  EXPECT_EQ(url("https://192.0.2.1"), "https 192.0.2.1 443 /");
  EXPECT_EQ(url("http://[2001:db8::1]:81/x"), "http 2001:db8::1 81 /x");
  EXPECT_EQ(url("http://[::1]/x"), "http ::1 80 /x");
  EXPECT_EQ(url("http://h?q"), "http h 80 /?q");
  EXPECT_EQ(url("http://h/a@b:c"), "http h 80 /a@b:c");
  EXPECT_EQ(url("tcp://db.example.com:5432"), "tcp db.example.com 5432 /");
  EXPECT_EQ(url("tcp://[::1]:5432"), "tcp ::1 5432 /");
}

TEST(CheckAddress, RefusesWhatCannotBeChecked) {
  EXPECT_THAT(url("www1.example.com"), HasSubstr("says no protocol"));
  EXPECT_THAT(url("www1.example.com:80"), HasSubstr("says no protocol"));
  EXPECT_THAT(url(""), HasSubstr("says no protocol"));
  EXPECT_THAT(url("ftp://h/"), HasSubstr("'ftp' is no protocol that can be checked"));
  EXPECT_THAT(url("http://"), HasSubstr("is no host name"));
  EXPECT_THAT(url("http:///x"), HasSubstr("is no host name"));
  EXPECT_THAT(url("http://:80/"), HasSubstr("is no host name"));
  EXPECT_THAT(url("http://u:p@h/"), HasSubstr("user or password"));
  EXPECT_THAT(url("http://u@h/"), HasSubstr("user or password"));
  EXPECT_THAT(url("http://h/#x"), HasSubstr("'#'"));
  EXPECT_THAT(url("http://h#x"), HasSubstr("'/'"));
  EXPECT_THAT(url("http://h:0/"), HasSubstr("is no port"));
  EXPECT_THAT(url("http://h:65536/"), HasSubstr("is no port"));
  EXPECT_THAT(url("http://h:/"), HasSubstr("is no port"));
  EXPECT_THAT(url("http://h:+80/"), HasSubstr("is no port"));
  EXPECT_THAT(url("http://2001:db8::1/"), HasSubstr("in brackets"));
  EXPECT_THAT(url("http://[2001:db8::1/"), HasSubstr("']' is missing"));
  EXPECT_THAT(url("http://[2001:db8::1]80/"), HasSubstr("behind the ']'"));
  EXPECT_THAT(url("http://[fe80::1%25eth0]/"), HasSubstr("no IPv6 address"));
  EXPECT_THAT(url("http://h/a b"), HasSubstr("write %20"));
  EXPECT_THAT(url("http://h/\xC3\xBC"), HasSubstr("write %C3"));
  EXPECT_THAT(url("http://h\\x/"), HasSubstr("does not begin with '/'"));
  EXPECT_THAT(url("http://h/" + std::string(5000, 'x')), HasSubstr("4096"));
  EXPECT_THAT(url("tcp://h"), HasSubstr("says no port"));
  EXPECT_THAT(url("tcp://h:1/"), HasSubstr("has no path"));
  EXPECT_THAT(url("http://*.h/"), HasSubstr("wildcards"));
  EXPECT_THAT(url(std::string_view("http://h\0/", 10)), HasSubstr("cannot stand"));
}

TEST(AddressAndPort, TakesAllForms) {
  EXPECT_EQ(ip_port("192.0.2.1"), "192.0.2.1#53");
  EXPECT_EQ(ip_port("192.0.2.2#5353"), "192.0.2.2#5353");
  EXPECT_EQ(ip_port("192.0.2.3:53"), "192.0.2.3#53");
  EXPECT_EQ(ip_port("[2001:db8::1]:54"), "2001:db8::1#54");
  EXPECT_EQ(ip_port("[2001:db8::1]#54"), "2001:db8::1#54");
  EXPECT_EQ(ip_port("[2001:db8::1]"), "2001:db8::1#53");
  EXPECT_EQ(ip_port("2001:db8::1"), "2001:db8::1#53");
  EXPECT_EQ(ip_port("2001:db8::1#54"), "2001:db8::1#54");
  EXPECT_EQ(ip_port("fe80::1%3"), "fe80::1#53%3");
  EXPECT_EQ(ip_port("[fe80::1%3]:54"), "fe80::1#54%3");
  EXPECT_EQ(ip_port("127.0.0.1:8053", std::nullopt), "127.0.0.1#8053");
}

TEST(AddressAndPort, RefusesTheRest) {
  for (const auto* text : {"",
                           "dns.example.com",
                           "192.0.2.1:",
                           "192.0.2.1#",
                           "192.0.2.1:0",
                           "192.0.2.1:99999",
                           "192.0.2.1:53x",
                           "[192.0.2.1",
                           "[2001:db8::1]53",
                           "[]",
                           "[]:53",
                           "2001:db8::1:99999",
                           ":53",
                           "#53",
                           "fe80::1",
                           "fe80::1%eth0",
                           "fe80::1%0",
                           "fe80::1%",
                           "192.0.2.1%1",
                           "2001:db8::1%1",
                           "::ffff:192.0.2.1",
                           "192.0.2.1#53#54",
                           "192.0.2.1 "}) {
    EXPECT_EQ(ip_port(text).substr(0, 2), "! ") << text;
  }
  EXPECT_THAT(ip_port("fe80::1%eth0"), HasSubstr("write its number"));
  EXPECT_THAT(ip_port("127.0.0.1", std::nullopt), HasSubstr("says no port"));
}

}  // namespace
}  // namespace har::config
