#include "app/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/memory.h"
#include "net/socket.h"

namespace har::app {
namespace {

bool closes_on_exec(int fd) { return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

Handover example() {
  Handover handover;
  auto bound = std::make_shared<Bound>();
  for (int i = 0; i < 3; ++i) {
    bound->udp.push_back(std::move(*net::bind_udp({*IpAddress::parse("127.0.0.1"), 0}, {})));
  }
  bound->at = {*IpAddress::parse("fe80::1"), 5353, 7};
  bound->tcp = std::move(*net::listen_tcp({*IpAddress::parse("127.0.0.1"), 0}, {}));
  handover.active.bound.push_back(std::move(bound));
  handover.active.table = std::move(*net::make_memory("table", 4096));
  handover.active.counters = std::move(*net::make_memory("counters", 4096));
  handover.bundle = std::move(*net::text_to_memory("bundle", "text"));
  handover.active.workers = 3;
  handover.active.names = 12;
  handover.active.user = "har";
  handover.active.log_level = LogLevel::kWarning;
  handover.generation = 42;
  handover.ready = true;
  handover.checker = {1234, handover.bundle.get()};
  return handover;
}

TEST(Handover, TheSuccessorFindsEverythingAndItsDescriptorsCloseAtTheNextExec) {
  Handover left = example();
  const int udp = left.active.bound[0]->udp[1].get();
  const auto number = left.leave();
  ASSERT_TRUE(number) << number.error().message;
  EXPECT_FALSE(closes_on_exec(udp));
  EXPECT_FALSE(closes_on_exec(left.active.table.get()));
  EXPECT_FALSE(closes_on_exec(*number));

  auto taken = Handover::take(*number);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(taken->active.bound.at(0)->at, left.active.bound[0]->at);
  EXPECT_EQ(taken->active.bound[0]->udp.size(), 3U);
  EXPECT_EQ(taken->active.bound[0]->udp[1].get(), udp);
  EXPECT_EQ(taken->active.bound[0]->tcp.get(), left.active.bound[0]->tcp.get());
  EXPECT_EQ(taken->active.table.get(), left.active.table.get());
  EXPECT_EQ(*net::memory_to_text(taken->bundle, 100), "text");
  EXPECT_EQ(taken->active.workers, 3U);
  EXPECT_EQ(taken->active.names, 12U);
  EXPECT_EQ(taken->active.user, "har");
  EXPECT_EQ(taken->active.log_level, LogLevel::kWarning);
  EXPECT_EQ(taken->generation, 42U);
  EXPECT_TRUE(taken->ready);
  EXPECT_EQ(taken->checker.pid, 1234);
  EXPECT_EQ(taken->answerer.pid, 0);
  EXPECT_TRUE(closes_on_exec(udp));
  EXPECT_TRUE(closes_on_exec(taken->active.counters.get()));
  EXPECT_LT(fcntl(*number, F_GETFD), 0);  // the memory file has done its duty

  // Here both are one process: one of them lets go.
  for (const auto& bound : left.active.bound) {
    auto& held = const_cast<Bound&>(*bound);
    for (net::Fd& fd : held.udp) (void)fd.release();
    (void)held.tcp.release();
  }
  for (net::Fd* fd : {&left.active.table, &left.active.counters, &left.bundle}) (void)fd->release();
}

TEST(Handover, AnExecThatFailedLeavesNothingOpenForTheNextOne) {
  const Handover left = example();
  const auto number = left.leave();
  ASSERT_TRUE(number);
  left.keep();
  close(*number);
  EXPECT_TRUE(closes_on_exec(left.active.bound[0]->udp[0].get()));
  EXPECT_TRUE(closes_on_exec(left.bundle.get()));
}

TEST(Handover, WhatIsNoHandoverIsRefused) {
  EXPECT_FALSE(Handover::take(9999));
  for (const std::string text : {"", "not a handover", "\1\0\0\0\0\0\0\0"}) {
    auto memory = net::text_to_memory("odd", text);
    ASSERT_TRUE(memory);
    EXPECT_FALSE(Handover::take(memory->release()));
  }
}

}  // namespace
}  // namespace har::app
