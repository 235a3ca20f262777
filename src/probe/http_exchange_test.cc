#include "probe/http_exchange.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "probe/testing.h"

namespace har::probe {
namespace {

using config::CheckMethod;
using health::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::answers;
using testing::Peer;
using testing::probe_once;
using testing::Server;
using testing::Single;
using testing::target;

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Single ask(Server::Behaviour behaviour, const std::function<void(config::Check&)>& change = {}) {
  Server server(std::move(behaviour));
  auto t = target(CheckMethod::kHttp, server.port());
  t.check.timeout = milliseconds(500);
  if (change) change(t.check);
  return probe_once(t);
}

Single ask_body(const std::string& response, const std::string& body) {
  return ask(answers(response), [&](config::Check& c) { c.http.edit().expect_body = body; });
}

TEST(HttpCheck, A200IsOkWithTheKernelsRttAndTheTimeToTheVerdict) {
  const Single single = ask(answers(kOk));
  EXPECT_EQ(single.outcome(), Outcome::kOk);
  EXPECT_EQ(single.observation->status, 200);
  EXPECT_GT(single.observation->connect, Duration::zero());
  EXPECT_LT(single.observation->connect, milliseconds(20));
  EXPECT_GT(single.observation->total, single.observation->connect);
}

TEST(HttpCheck, TheRequestIsAGetWithHostAndHeadersAsConfigured) {
  std::string request;
  Server server([&](const Peer& p) {
    request = p.read_head();
    p.send(kOk);
  });
  auto t = target(CheckMethod::kHttp, server.port());
  t.check.http.edit().path = "/a/../health?x=1&y=%20";
  t.check.http.edit().headers = {"X-Probe: har", "User-Agent: mine"};
  EXPECT_EQ(probe_once(t).outcome(), Outcome::kOk);
  EXPECT_TRUE(request.starts_with("GET /a/../health?x=1&y=%20 HTTP/1.1\r\n")) << request;
  EXPECT_NE(request.find("\r\nHost: api.example.test:" + std::to_string(server.port()) + "\r\n"), request.npos)
      << request;
  EXPECT_NE(request.find("\r\nX-Probe: har\r\n"), request.npos);
  EXPECT_NE(request.find("\r\nUser-Agent: mine\r\n"), request.npos);
  EXPECT_EQ(request.find("Cookie"), request.npos);
  EXPECT_EQ(request.find("Upgrade"), request.npos);
}

TEST(HttpCheck, AnIpv6LiteralIsAskedWithItsBrackets) {
  std::string request;
  Server server(
      [&](const Peer& p) {
        request = p.read_head();
        p.send(kOk);
      },
      Family::kV6);
  auto t = target(CheckMethod::kHttp, server.port(), testing::loopback(Family::kV6));
  t.check.host = "::1";
  EXPECT_EQ(probe_once(t).outcome(), Outcome::kOk);
  EXPECT_NE(request.find("\r\nHost: [::1]:"), request.npos) << request;
}

TEST(HttpCheck, ARedirectIsNotFollowed) {
  Server elsewhere(answers(kOk));
  const std::string location = "http://127.0.0.1:" + std::to_string(elsewhere.port()) + "/";
  const Single single = ask(answers("HTTP/1.1 302 Found\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_EQ(single.outcome(), Outcome::kResponseError);
  EXPECT_EQ(single.reason(), "status 302");
  EXPECT_EQ(elsewhere.connections(), 0);
}

TEST(HttpCheck, TheEnvironmentsProxyIsNotUsed) {
  Server proxy(answers("HTTP/1.1 503 Proxy\r\n\r\n"));
  const std::string url = "http://127.0.0.1:" + std::to_string(proxy.port());
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) setenv(name, url.c_str(), 1);
  EXPECT_EQ(ask(answers(kOk)).outcome(), Outcome::kOk);
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);
  EXPECT_EQ(proxy.connections(), 0);
}

TEST(HttpCheck, InterimResponsesAreSkipped) {
  const Single single =
      ask(answers(std::string("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n") + kOk));
  EXPECT_EQ(single.outcome(), Outcome::kOk);
  EXPECT_EQ(single.observation->status, 200);
}

TEST(HttpCheck, TheVerdictFallsAtTheEndOfTheHeadsThoughTheBodyNeverEnds) {
  const Single single = ask([](const Peer& p) {
    p.read_head();
    p.send("HTTP/1.1 200 OK\r\n\r\n");
    while (p.send(std::string(10'000, 'x'))) {
    }
  });
  EXPECT_EQ(single.outcome(), Outcome::kOk);
  EXPECT_LT(single.took, milliseconds(400));
}

TEST(HttpCheck, AnEndlessBodyIsReadToItsMatchOrTo64KiB) {
  for (const bool has_match : {true, false}) {
    std::atomic<std::size_t> sent = 0;
    const Single single = ask(
        [&](const Peer& p) {
          p.read_head();
          p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
          if (has_match) p.send("3\r\nREA\r\n2\r\nDY\r\n");
          while (p.send("3e8\r\n" + std::string(1'000, 'x') + "\r\n")) sent += 1'000;
        },
        [](config::Check& c) { c.http.edit().expect_body = "READY"; });
    EXPECT_EQ(single.outcome(), has_match ? Outcome::kOk : Outcome::kResponseError);
    EXPECT_LT(single.took, milliseconds(400));
    EXPECT_LT(sent, 20'000'000U);
  }
}

TEST(HttpCheck, TheBodyIsJudgedAtItsEnd) {
  EXPECT_EQ(ask_body(kOk, "ok").outcome(), Outcome::kOk);
  const Single wrong = ask_body(kOk, "fine");
  EXPECT_EQ(wrong.outcome(), Outcome::kResponseError);
  EXPECT_EQ(wrong.reason(), "body not as expected");
  EXPECT_EQ(ask_body("HTTP/1.0 200 OK\r\n\r\nall is fine", "fine").outcome(), Outcome::kOk);
  EXPECT_EQ(ask_body("HTTP/1.1 204 No\r\n\r\n", "fine").outcome(), Outcome::kResponseError);
  const Single coded = ask_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "fine");
  EXPECT_EQ(coded.reason(), "transfer coding not supported");
}

TEST(HttpCheck, AWrongLengthIsABrokenBodyUnlessTheMatchCameBefore) {
  const std::string short_body = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nready";
  EXPECT_EQ(ask_body(short_body, "ready").outcome(), Outcome::kOk);
  const Single single = ask_body(short_body, "never");
  EXPECT_EQ(single.outcome(), Outcome::kResponseError);
  EXPECT_EQ(single.reason(), "body cut short");
  EXPECT_EQ(ask_body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokREADY", "READY").outcome(),
            Outcome::kResponseError);
  EXPECT_EQ(ask_body("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok", "ok").outcome(), Outcome::kResponseError);
  EXPECT_EQ(ask_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "ok").outcome(),
            Outcome::kResponseError);
}

TEST(HttpCheck, WhatIsNotHttpIsAResponseError) {
  for (const char* response : {"<html>hello</html>", "SSH-2.0-OpenSSH_9.2\r\n", "", "HTTP/", "HTTP/1.1\r\n\r\n",
                               "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "\r\n\r\n",
                               "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "ICY 200 OK\r\n\r\n"}) {
    const Single single = ask(answers(response));
    EXPECT_EQ(single.outcome(), Outcome::kResponseError) << response << ": " << single.reason();
  }
}

TEST(HttpCheck, Http09IsRefusedEvenWithAMatchingBody) {
  EXPECT_EQ(ask_body("everything is ready here", "ready").outcome(), Outcome::kResponseError);
}

TEST(HttpCheck, HeadsWithoutEndEndTheProbe) {
  for (const std::string& piece : {"X-Long: " + std::string(1'000, 'x') + "\r\n", std::string(1'000, 'y')}) {
    std::atomic<std::size_t> sent = 0;
    const Single single = ask([&](const Peer& p) {
      p.read_head();
      p.send("HTTP/1.1 200 OK\r\nX: ");
      while (p.send(piece)) sent += piece.size();
    });
    EXPECT_EQ(single.outcome(), Outcome::kResponseError);
    EXPECT_EQ(single.reason(), "head too long");
    EXPECT_LT(single.took, milliseconds(450));
    EXPECT_LT(sent, 20'000'000U);
  }
  const Single interim = ask([&](const Peer& p) {
    p.read_head();
    while (p.send("HTTP/1.1 100 Continue\r\n\r\n")) {
    }
  });
  EXPECT_EQ(interim.outcome(), Outcome::kResponseError);
}

TEST(HttpCheck, SlowHeadersAreATimeoutAtCheckTimeout) {
  const Single single = ask([](const Peer& p) {
    p.read_head();
    for (const char c : std::string("HTTP/1.1 200 OK\r\nServer: as slow as it can be while it still moves\r\n\r\n")) {
      if (!p.send({&c, 1})) return;
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  EXPECT_EQ(single.outcome(), Outcome::kTimeout);
  EXPECT_EQ(single.reason(), "timeout waiting for the response");
  EXPECT_GE(single.observation->total, milliseconds(500));
  EXPECT_LT(single.observation->total, milliseconds(600));
}

TEST(HttpCheck, ABodyThatStallsIsATimeout) {
  const Single single = ask(
      [](const Peer& p) {
        p.read_head();
        p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        p.read_end();
      },
      [](config::Check& c) { c.http.edit().expect_body = "xyz"; });
  EXPECT_EQ(single.outcome(), Outcome::kTimeout);
  EXPECT_EQ(single.reason(), "timeout in the body");
}

TEST(HttpCheck, AResetAtAnyStageIsAResponseError) {
  const std::string before[] = {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nServer: x\r\n"};
  for (const std::string& sent : before) {
    const Single single = ask([&](const Peer& p) {
      p.read_head();
      p.send(sent);
      std::this_thread::sleep_for(milliseconds(20));
      p.reset();
    });
    EXPECT_EQ(single.outcome(), Outcome::kResponseError) << sent << " " << single.reason();
  }
  const Single at_once = ask([](const Peer& p) { p.reset(); });
  EXPECT_TRUE(at_once.outcome() == Outcome::kResponseError || at_once.outcome() == Outcome::kConnectError)
      << at_once.reason();
  const Single body = ask(
      [](const Peer& p) {
        p.read_head();
        p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        std::this_thread::sleep_for(milliseconds(20));
        p.reset();
      },
      [](config::Check& c) { c.http.edit().expect_body = "xyz"; });
  EXPECT_EQ(body.outcome(), Outcome::kResponseError);
}

TEST(HttpCheck, ARefusedConnectionIsAConnectError) {
  std::uint16_t port = 0;
  { port = Server(answers(kOk)).port(); }
  const Single single = probe_once(target(CheckMethod::kHttp, port));
  EXPECT_EQ(single.outcome(), Outcome::kConnectError);
  EXPECT_EQ(single.reason(), "refused");
}

}  // namespace
}  // namespace har::probe
