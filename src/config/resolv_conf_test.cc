#include "config/resolv_conf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace har::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> servers(std::string_view text, const InterfaceIndex& index = {}) {
  std::vector<std::string> out;
  for (const auto& one : parse_resolv_conf(text, index)) {
    out.push_back(one.to_string() + (one.scope != 0 ? "%" + std::to_string(one.scope) : ""));
  }
  return out;
}

TEST(ResolvConf, GivesItsNameserversInOrder) {
  EXPECT_THAT(servers("# made by NetworkManager\n; old style\nsearch example.com\nnameserver 192.0.2.2\n"
                      "nameserver\t 192.0.2.1 \noptions edns0 trust-ad\nnameserver 2001:db8::1\n"),
              ElementsAre("192.0.2.2#53", "192.0.2.1#53", "2001:db8::1#53"));
}

TEST(ResolvConf, PassesOverWhatItCannotUse) {
  EXPECT_THAT(servers("nameserver\nnameserver \nnameserver auto\nnameserver 192.0.2\n nameserver 192.0.2.9\n"
                      "#nameserver 192.0.2.8\nnameservers 192.0.2.7\nnameserver192.0.2.6\nnameserver 192.0.2.1 # main\n"
                      "nameserver 192.0.2.1\r\nNAMESERVER 192.0.2.5\n"),
              ElementsAre("192.0.2.1#53"));
}

TEST(ResolvConf, IsEmptyWhenEmpty) {
  EXPECT_THAT(servers(""), IsEmpty());
  EXPECT_THAT(servers("\n\n# nothing\n"), IsEmpty());
}

TEST(ResolvConf, IsEmptyWhenCutWithinAnAddress) {
  EXPECT_THAT(servers("nameserver 192.0.2.1\nnameserver 192.0."), IsEmpty());
  EXPECT_THAT(servers("nameserver 192.0.2.1\nnameserver 2001:db8"), IsEmpty());
  EXPECT_THAT(servers("nameserver 192.0.2.1\nnameserver "), IsEmpty());
  // Cut elsewhere, or merely without a last newline: whole.
  EXPECT_THAT(servers("nameserver 192.0.2.1"), ElementsAre("192.0.2.1#53"));
  EXPECT_THAT(servers("nameserver 192.0.2.1\nsear"), ElementsAre("192.0.2.1#53"));
  EXPECT_THAT(servers("nameserver 192.0.2.1\nnameserver none"), ElementsAre("192.0.2.1#53"));
}

TEST(ResolvConf, KnowsInterfaces) {
  const InterfaceIndex index = [](const std::string& name) { return name == "eth0" ? 7u : 0u; };
  EXPECT_THAT(
      servers("nameserver fe80::1%3\nnameserver fe80::1%eth0\nnameserver fe80::2%eth9\nnameserver fe80::3%\n", index),
      ElementsAre("fe80::1#53%3", "fe80::1#53%7"));
  EXPECT_THAT(servers("nameserver fe80::1%eth0\nnameserver 192.0.2.1%eth0\n"), IsEmpty());
}

TEST(ResolvConf, IsBounded) {
  std::string text;
  for (int i = 0; i < 250; ++i) text += "nameserver 192.0.2." + std::to_string(i) + "\n";
  EXPECT_EQ(servers(text).size(), 16u);
}

}  // namespace
}  // namespace har::config
