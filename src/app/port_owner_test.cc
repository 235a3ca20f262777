#include "app/port_owner.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "net/fd.h"
#include "net/sockaddr.h"

namespace har::app {
namespace {

// Somebody else who holds a port for IPv6 and IPv4 at once, as many daemons do.
class Holder {
 public:
  Holder(int type, const char* address) {
    int ends[2];
    if (pipe(ends) != 0) return;
    const net::Fd read_end(ends[0]), write_end(ends[1]);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      hold(type, *IpAddress::parse(address), write_end.get());
    }
    if (read(read_end.get(), &port_, sizeof port_) != sizeof port_) port_ = 0;
  }
  ~Holder() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  pid_t pid() const { return pid_; }
  std::uint16_t port() const { return port_; }  // 0: this host has no IPv6

 private:
  [[noreturn]] static void hold(int type, const IpAddress& ip, int tell) {
    const int fd = socket(AF_INET6, type, 0);
    const int off = 0;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    net::SocketAddress at(IpPort{ip, 0});
    socklen_t size = at.size();
    std::uint16_t port = 0;
    if (bind(fd, &at.generic, at.size()) == 0 && (type == SOCK_DGRAM || listen(fd, 1) == 0) &&
        getsockname(fd, &at.generic, &size) == 0) {
      port = at.to_ip_port().port;
    }
    [[maybe_unused]] const auto written = write(tell, &port, sizeof port);
    for (;;) pause();
  }

  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

TEST(PortOwner, IsFoundWhereOneSocketHoldsBothFamilies) {
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    for (const char* address : {"::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"}) {
      const Holder holder(type, address);
      if (holder.port() == 0) GTEST_SKIP() << "no IPv6 here";
      const auto owner = find_port_owner({*IpAddress::parse("127.0.0.1"), holder.port()});
      ASSERT_TRUE(owner) << address << ", type " << type;
      EXPECT_EQ(owner->pid, holder.pid());
    }
  }
}

TEST(PortOwner, IsNobodyWhoHoldsAnotherAddress) {
  const Holder holder(SOCK_DGRAM, "::ffff:127.0.0.2");
  if (holder.port() == 0) GTEST_SKIP() << "no IPv6 here";
  EXPECT_FALSE(find_port_owner({*IpAddress::parse("127.0.0.1"), holder.port()}));
  EXPECT_FALSE(find_port_owner({*IpAddress::parse("::1"), holder.port()}));
}

}  // namespace
}  // namespace har::app
