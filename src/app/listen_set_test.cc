#include "app/listen_set.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/socket.h"

namespace har::app {
namespace {

const IpAddress kLoopback = *IpAddress::parse("127.0.0.1");
const Log kQuiet("", LogLevel::kError, -1);
bool never() { return false; }

// A port that is free on both protocols: bound by the kernel's choice, then let go.
std::uint16_t free_port() {
  for (int tries = 0; tries < 100; ++tries) {
    const net::Fd fd = std::move(*net::bind_udp({kLoopback, 0}, {}));
    net::SocketAddress address;
    socklen_t size = sizeof address;
    getsockname(fd.get(), &address.generic, &size);
    const std::uint16_t port = address.to_ip_port().port;
    if (net::listen_tcp({kLoopback, port}, {})) return port;  // else somebody's connection leaves from there
  }
  ADD_FAILURE() << "no port is free";
  return 0;
}

Prepare wanted(std::vector<Prepare::Address> addresses, std::uint32_t workers = 1) {
  Prepare out;
  out.addresses = std::move(addresses);
  out.workers = workers;
  out.table_bytes = 100;
  out.counter_bytes = 100;
  return out;
}

ino_t inode(const net::Fd& fd) {
  struct stat status {};
  fstat(fd.get(), &status);
  return status.st_ino;
}

TEST(ListenSet, HasASocketForEachWorkerAndOneListener) {
  const auto set = make_listen_set(wanted({{{kLoopback, free_port()}, false}}, 3), nullptr, kQuiet, never);
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->bound.size(), 1u);
  EXPECT_EQ(set->bound[0]->udp.size(), 3u);
  EXPECT_TRUE(set->bound[0]->tcp);
}

TEST(ListenSet, AnAddressThatStaysKeepsItsSockets) {
  const Prepare::Address stays{{kLoopback, free_port()}, false};
  const auto first = make_listen_set(wanted({stays}), nullptr, kQuiet, never);
  ASSERT_TRUE(first);
  const auto second = make_listen_set(wanted({{{kLoopback, free_port()}, false}, stays}), &*first, kQuiet, never);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(inode(second->bound[1]->udp[0]), inode(first->bound[0]->udp[0]));
}

TEST(ListenSet, OneAddressThatIsTakenRefusesTheWholeAndNamesTheOwner) {
  const IpPort taken{kLoopback, free_port()};
  // Held as another daemon holds it: shared among its own.
  const net::Fd other = std::move(*net::bind_udp(taken, {.reuse_port = true}));
  const auto set = make_listen_set(wanted({{{kLoopback, free_port()}, false}, {taken, false}}), nullptr, kQuiet, never);
  ASSERT_FALSE(set);
  EXPECT_NE(set.error().message.find("Address already in use"), std::string::npos) << set.error().message;
}

TEST(ListenSet, ARefusalForOurOwnSakeSaysSo) {
  const std::uint16_t port = free_port();
  const auto first = make_listen_set(wanted({{{kLoopback, port}, false}}), nullptr, kQuiet, never);
  ASSERT_TRUE(first);
  const Prepare::Address all{{*IpAddress::parse("0.0.0.0"), port}, false};
  const auto second = make_listen_set(wanted({all}), &*first, kQuiet, [] { return true; });
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("takes a restart"), std::string::npos) << second.error().message;
}

TEST(ListenSet, TriesAgainWhileThereIsPatience) {
  const IpPort taken{kLoopback, free_port()};
  net::Fd other = std::move(*net::bind_udp(taken, {}));
  int asked = 0;
  const auto set = make_listen_set(wanted({{taken, false}}), nullptr, kQuiet, [&] {
    if (++asked == 2) other.reset();
    return asked < 100;
  });
  EXPECT_TRUE(set);
  EXPECT_EQ(asked, 2);
}

TEST(ListenSet, ADefaultThatTheHostLacksIsSkippedAndAWrittenOneIsBound) {
  const IpAddress absent = *IpAddress::parse("192.0.2.1");
  const auto set = make_listen_set(
      wanted({{{absent, 0}, true}, {{*IpAddress::parse("192.0.2.2"), free_port()}, false}}), nullptr, kQuiet, never);
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->bound.size(), 1u);
  EXPECT_EQ(set->bound[0]->at.ip.to_string(), "192.0.2.2");
}

TEST(Prepare, SurvivesTheWayThroughBytesAndRefusesEveryCut) {
  Prepare before = wanted({{{kLoopback, 53}, false}, {{*IpAddress::parse("::1"), 53}, true}}, 4);
  before.user = "har";
  before.names = 10;
  const std::string bytes = before.pack();
  Prepare after;
  ASSERT_TRUE(Prepare::unpack(bytes, after));
  EXPECT_EQ(after.pack(), bytes);
  EXPECT_TRUE(after.addresses[1].optional);
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(Prepare::unpack(bytes.substr(0, size), after));
}

}  // namespace
}  // namespace har::app
