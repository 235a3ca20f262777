#include "probe/own_trouble.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "net/fd.h"

namespace har::probe {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Instant at(Duration since) { return Instant(seconds(1'000)) + since; }

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    out = net::Fd(ends[0]);
    in = net::Fd(ends[1]);
  }
  net::Fd in, out;
};

class OwnTroubleTest : public ::testing::Test {
 protected:
  // What was logged since the last time.
  std::string lines() const {
    char text[4'096];
    const auto size = read(pipe_.out.get(), text, sizeof text);
    return {text, static_cast<std::size_t>(size > 0 ? size : 0)};
  }

  const Pipe pipe_;
  const Log log_{"", LogLevel::kInfo, pipe_.in.get()};
  Schedule schedule_{{.in_flight = 1, .tls_handshakes = 64}, 1};
  OwnTrouble trouble_{log_};
};

TEST_F(OwnTroubleTest, IsNoneWhereAllIsWell) {
  trouble_.tell(schedule_, at({}));
  EXPECT_EQ(lines(), "");
}

TEST_F(OwnTroubleTest, AShortageIsToldOnceAMinute) {
  trouble_.no_room("Too many open files", schedule_, at({}));
  EXPECT_EQ(lines(), "level=error event=probe_not_started error=\"Too many open files\" in_flight=0\n");
  trouble_.no_room("Too many open files", schedule_, at(seconds(59)));
  EXPECT_EQ(lines(), "");
  trouble_.no_room("Cannot allocate memory", schedule_, at(seconds(60)));
  EXPECT_EQ(lines(), "level=error event=probe_not_started error=\"Cannot allocate memory\" in_flight=0\n");
}

TEST_F(OwnTroubleTest, AScheduleThatCannotBeKeptIsToldAndItsEnd) {
  for (health::CheckId id = 0; id < 4; ++id) schedule_.add(id, {}, {}, at({}));
  Instant now = at({});
  // A probe of a second, one at a time: half of what four checks ask for.
  for (; now < at(seconds(20)); now += seconds(1)) {
    if (const auto start = schedule_.take_due(now)) schedule_.ended(start->id, start->serial);
    trouble_.tell(schedule_, now);
  }
  const std::string stretched = lines();
  EXPECT_TRUE(stretched.starts_with("level=warning event=checks_stretched factor=")) << stretched;
  EXPECT_EQ(std::count(stretched.begin(), stretched.end(), '\n'), 1) << stretched;
  for (; now < at(seconds(200)); now += milliseconds(1)) {
    if (const auto start = schedule_.take_due(now)) schedule_.ended(start->id, start->serial);
    trouble_.tell(schedule_, now);
  }
  EXPECT_EQ(lines(), "level=info event=checks_on_schedule checks=4\n");
}

TEST_F(OwnTroubleTest, TimeoutsThatDoNotCountAreToldTogetherOnceAMinute) {
  trouble_.not_counted(milliseconds(612));
  trouble_.not_counted(milliseconds(701));
  trouble_.not_counted({});
  EXPECT_EQ(lines(), "");
  trouble_.tell(schedule_, at({}));
  EXPECT_EQ(lines(), "level=warning event=timeouts_not_counted count=3 stalled_ms=701 begun_late=0\n");
  trouble_.not_counted({});  // it waited for a handshake
  trouble_.tell(schedule_, at(seconds(59)));
  EXPECT_EQ(lines(), "");
  trouble_.tell(schedule_, at(seconds(60)));
  EXPECT_EQ(lines(), "level=warning event=timeouts_not_counted count=1 stalled_ms=0 begun_late=0\n");
  trouble_.tell(schedule_, at(seconds(600)));
  EXPECT_EQ(lines(), "");
}

TEST_F(OwnTroubleTest, WhatBeganLateIsToldWithThem) {
  schedule_.add(7, {}, {}, at({}));
  for (const int second : {0, 10}) {
    const auto start = schedule_.take_due(at(seconds(second)));
    ASSERT_TRUE(start);
    schedule_.ended(start->id, start->serial);
  }
  trouble_.tell(schedule_, at(seconds(10)));
  EXPECT_EQ(lines(), "") << "alone it is nothing to be told";
  trouble_.not_counted(milliseconds(612));
  trouble_.tell(schedule_, at(seconds(11)));
  EXPECT_EQ(lines(), "level=warning event=timeouts_not_counted count=1 stalled_ms=612 begun_late=1\n");
}

}  // namespace
}  // namespace har::probe
