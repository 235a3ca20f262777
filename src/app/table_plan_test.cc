#include "app/table_plan.h"

#include <gtest/gtest.h>

namespace har::app {
namespace {

std::string text(const std::vector<IpPrefix>& prefixes) {
  std::string out;
  for (const auto& prefix : prefixes) out += prefix.to_string() + " ";
  return out;
}

TEST(ListenAddresses, ByDefaultBothLoopbacksOfWhichTheHostMayLackTheSixthVersion) {
  config::Config config;
  config.dns_listen_port = 5353;
  const auto addresses = listen_addresses(config);
  ASSERT_EQ(addresses.size(), 2u);
  EXPECT_EQ(addresses[0].at.to_string(), "127.0.0.1#5353");
  EXPECT_FALSE(addresses[0].optional);
  EXPECT_EQ(addresses[1].at.to_string(), "::1#5353");
  EXPECT_TRUE(addresses[1].optional);
}

TEST(ListenAddresses, WhatIsWrittenIsNotOptional) {
  config::Config config;
  config.dns_bind_interfaces = {*IpAddress::parse("::1")};
  ASSERT_EQ(listen_addresses(config).size(), 1u);
  EXPECT_FALSE(listen_addresses(config)[0].optional);
  config.bind_default_v6 = true;
  EXPECT_TRUE(listen_addresses(config)[0].optional);
}

TEST(ListenAddresses, AWildcardHoldsTheOthersOfItsFamily) {
  config::Config config;
  config.dns_bind_interfaces = {*IpAddress::parse("127.0.0.1"), *IpAddress::parse("::1"), *IpAddress::parse("0.0.0.0")};
  const auto addresses = listen_addresses(config);
  ASSERT_EQ(addresses.size(), 2u);
  EXPECT_EQ(addresses[0].at.ip.to_string(), "::1");
  EXPECT_EQ(addresses[1].at.ip.to_string(), "0.0.0.0");
}

TEST(AllowedClients, ByDefaultLoopbackAndTheAddressesListenedTo) {
  config::Config config;
  EXPECT_EQ(text(allowed_clients(config)), "127.0.0.0/8 ::1/128 ");
  config.dns_bind_interfaces = {*IpAddress::parse("192.0.2.1"), *IpAddress::parse("0.0.0.0")};
  EXPECT_EQ(text(allowed_clients(config)), "127.0.0.0/8 ::1/128 192.0.2.1/32 ");
}

TEST(AllowedClients, ListeningToAWildcardAllAddressesOfTheHostUnlessOthersAreWritten) {
  config::Config config;
  config.dns_bind_interfaces = {*IpAddress::parse("192.0.2.1")};
  EXPECT_FALSE(table_plan(config, 1).own_clients);
  config.dns_bind_interfaces = {*IpAddress::parse("0.0.0.0")};
  EXPECT_TRUE(table_plan(config, 1).own_clients);
  config.allow_clients = {*IpPrefix::parse("10.0.0.0/8")};
  EXPECT_FALSE(table_plan(config, 1).own_clients);
  config.allow_clients_added = true;
  EXPECT_TRUE(table_plan(config, 1).own_clients);
}

TEST(AllowedClients, WhatIsWrittenReplacesTheDefaultUnlessItIsOnlyAdded) {
  config::Config config;
  config.allow_clients = {*IpPrefix::parse("10.0.0.0/8")};
  EXPECT_EQ(text(allowed_clients(config)), "10.0.0.0/8 ");
  config.allow_clients_added = true;
  EXPECT_EQ(text(allowed_clients(config)), "10.0.0.0/8 127.0.0.0/8 ::1/128 ");
}

TEST(TablePlan, HasASlotForEachNameInTheOrderOfTheFile) {
  config::Config config;
  config.names.resize(2);
  config.names[0].host = "a.example";
  config.names[1].host = "b.example";
  config.names[1].https_records = config::HttpsRecords::kForward;
  const auto plan = table_plan(config, 7);
  EXPECT_EQ(plan.generation, 7u);
  ASSERT_EQ(plan.names.size(), 2u);
  EXPECT_FALSE(plan.names[0].https_forward);
  EXPECT_TRUE(plan.names[1].https_forward);
  EXPECT_EQ(host_names(config), (std::vector<std::string>{"a.example", "b.example"}));
}

}  // namespace
}  // namespace har::app
