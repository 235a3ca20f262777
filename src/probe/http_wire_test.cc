#include "probe/http_wire.h"

#include <gtest/gtest.h>

namespace har::probe {
namespace {

using health::Outcome;

HttpWire wire(const std::string& expect_body = "") { return HttpWire(HttpReading({{200, 299}}, expect_body)); }

// The verdict as words, for a response that comes whole, in single octets, and in threes: it must be the same.
std::string read(const std::string& response, const std::string& expect_body = "") {
  std::string first;
  for (const std::size_t step : {response.size() + 1, std::size_t{1}, std::size_t{3}}) {
    HttpWire w = wire(expect_body);
    for (std::size_t at = 0; at < response.size(); at += step) w.feed(std::string_view(response).substr(at, step));
    w.closed();
    const std::string words = (w.verdict()->outcome == Outcome::kOk ? "ok: " : "") + std::string(w.verdict()->reason);
    if (first.empty()) first = words;
    EXPECT_EQ(words, first) << response << " in steps of " << step;
  }
  return first;
}

TEST(HttpWire, AResponseIsReadByItsLengthByChunksOrToTheEnd) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready", "ready"), "ok: status 200");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nrea\r\n2 \r\ndy\r\n0\r\n\r\n", "ready"),
            "ok: status 200");
  EXPECT_EQ(read("HTTP/1.0 200 OK\n\nit is ready", "ready"), "ok: status 200");
}

TEST(HttpWire, ABodyEndsWhereItsFramingSays) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokready", "ready"), "body not as expected");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nready", "ready"), "body not as expected");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nready", "ready"),
            "body not as expected");
  EXPECT_EQ(read("HTTP/1.1 204 No\r\n\r\nready", "ready"), "body not as expected");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n5\r\nready\r\n", "ready"),
            "ok: status 200");
}

TEST(HttpWire, TheVerdictFallsAtTheEndOfTheHead) {
  HttpWire w = wire();
  w.feed("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r");
  EXPECT_FALSE(w.verdict());
  EXPECT_FALSE(w.has_head());
  w.feed("\n");
  EXPECT_EQ(w.verdict()->reason, "status 200");
  EXPECT_TRUE(w.has_head());
}

TEST(HttpWire, InterimResponsesAreSkippedWithTheirFraming) {
  EXPECT_EQ(
      read("HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200\r\n\r\nok", "ok"),
      "ok: status 200");
  EXPECT_EQ(read("HTTP/1.1 100 Continue\r\n\r\n"), "no response");
}

TEST(HttpWire, WhatEndsEarlyIsSaidToHaveEndedEarly) {
  EXPECT_EQ(read(""), "no response");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nServer: x\r\n"), "no response");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "ready"), "body cut short");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", "ready"), "body cut short");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "ready"), "body cut short");
  HttpWire w = wire();
  w.feed("HTTP/1.1 200 OK\r\n");
  w.broke();
  EXPECT_EQ(w.verdict()->reason, "connection broke");
}

TEST(HttpWire, WhatIsMalformedIsRefused) {
  for (const char* response :
       {"HTTP/1.1\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "\r\n\r\n", "<html>hello", "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"}) {
    EXPECT_EQ(read(response), "not HTTP") << response;
  }
  EXPECT_EQ(read(std::string("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", 25)), "not HTTP");
  for (const char* chunks : {"zz\r\n", "-1\r\n", "0x5\r\nready", "\r\n", "5\r\nhello, \r\n", "11111111111111111\r\n"}) {
    EXPECT_EQ(read(std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") + chunks, "ready"),
              "body malformed")
        << chunks;
  }
}

TEST(HttpWire, WhoSpeaksAnotherProtocolIsKnownBeforeHisLineEnds) {
  HttpWire w = wire();
  w.feed("HT");
  EXPECT_FALSE(w.verdict());
  w.feed("ML");
  EXPECT_EQ(w.verdict()->reason, "not HTTP");
}

TEST(HttpWire, LinesWithoutEndHaveTheirBound) {
  HttpWire head = wire();
  head.feed("HTTP/1.1 200 OK\r\nX: ");
  const std::string piece(1'000, 'y');
  for (int i = 0; i < 100 && !head.verdict(); ++i) head.feed(piece);
  ASSERT_TRUE(head.verdict());
  EXPECT_EQ(head.verdict()->reason, "head too long");
  HttpWire chunk = wire("ready");
  chunk.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;");
  for (int i = 0; i < 3 && !chunk.verdict(); ++i) chunk.feed(piece);
  ASSERT_TRUE(chunk.verdict());
  EXPECT_EQ(chunk.verdict()->reason, "body malformed");
}

config::Check check(const std::string& host, const std::string& path = "/") {
  config::Check c;
  c.host = host;
  c.http.edit().path = path;
  return c;
}

TEST(RequestText, IsAGetWithHostAndTheConfiguredHeaders) {
  config::Check c = check("api.example.test", "/a/../health?x=1&y=%20");
  EXPECT_EQ(request_text(c),
            "GET /a/../health?x=1&y=%20 HTTP/1.1\r\nHost: api.example.test\r\nUser-Agent: har/" HAR_VERSION
            "\r\nAccept: */*\r\n\r\n");
  c.port = 8080;
  c.http_host = "www_1.example.test";
  c.http.edit().headers = {"X-Probe: har", "user-agent: mine"};
  EXPECT_EQ(request_text(c),
            "GET /a/../health?x=1&y=%20 HTTP/1.1\r\nHost: www_1.example.test:8080\r\nAccept: */*\r\n"
            "X-Probe: har\r\nuser-agent: mine\r\n\r\n");
  c.http.edit().headers = {"Host: other.test"};
  EXPECT_EQ(request_text(c).find("www_1"), std::string::npos);
  EXPECT_NE(request_text(check("2001:db8::1")).find("\r\nHost: [2001:db8::1]\r\n"), std::string::npos);
}

TEST(RequestText, HttpsHasItsOwnPort) {
  config::Check c = check("api.example.test");
  c.method = config::CheckMethod::kHttps;
  c.port = 443;
  EXPECT_NE(request_text(c).find("\r\nHost: api.example.test\r\n"), std::string::npos);
  c.port = 80;
  EXPECT_NE(request_text(c).find("\r\nHost: api.example.test:80\r\n"), std::string::npos);
}

}  // namespace
}  // namespace har::probe
