#include "probe/http_reading.h"

#include <gtest/gtest.h>

namespace har::probe {
namespace {

using health::Outcome;

HttpReading reading(std::string body = {}, std::vector<config::StatusRange> status = {{}}) {
  return HttpReading(std::move(status), std::move(body));
}
void head(HttpReading& r, std::string_view status_line = "HTTP/1.1 200 OK\r\n") {
  r.header(status_line);
  r.header("Server: x\r\n");
  EXPECT_FALSE(r.verdict());
  r.header("\r\n");
}

TEST(HttpReading, TheVerdictFallsAtTheEndOfTheHead) {
  HttpReading r = reading();
  head(r);
  ASSERT_TRUE(r.verdict());
  EXPECT_EQ(r.verdict()->outcome, Outcome::kOk);
  EXPECT_EQ(r.verdict()->status, 200);
}

TEST(HttpReading, AnUnexpectedStatusIsAResponseErrorThatSaysWhich) {
  for (const auto& [line, reason] :
       {std::pair{"HTTP/1.1 500 No\r\n", "status 500"}, std::pair{"HTTP/1.0 302 Found\r\n", "status 302"},
        std::pair{"HTTP/1.1 101 Switching\r\n", "status 101"}, std::pair{"HTTP/1.1 000 \r\n", "status 000"}}) {
    HttpReading r = reading();
    head(r, line);
    ASSERT_TRUE(r.verdict()) << line;
    EXPECT_EQ(r.verdict()->outcome, Outcome::kResponseError);
    EXPECT_EQ(r.verdict()->reason, reason);
  }
}

TEST(HttpReading, NumbersAndRangesOfStatusAreInclusive) {
  for (const auto& [status, ok] : {std::pair{"200", true}, std::pair{"204", true}, std::pair{"205", false},
                                   std::pair{"401", true}, std::pair{"402", false}}) {
    HttpReading r = reading({}, {{200, 204}, {401, 401}});
    head(r, std::string("HTTP/1.1 ") + status + " x\r\n");
    EXPECT_EQ(r.verdict()->outcome == Outcome::kOk, ok) << status;
  }
}

TEST(HttpReading, InterimResponsesArePassedOver) {
  HttpReading r = reading();
  for (const auto* line :
       {"HTTP/1.1 100 Continue\r\n", "\r\n", "HTTP/1.1 103 Early Hints\r\n", "Link: </x>\r\n", "\r\n"}) {
    r.header(line);
    EXPECT_FALSE(r.verdict());
  }
  head(r, "HTTP/1.1 204 No Content\r\n");
  EXPECT_EQ(r.verdict()->status, 204);
}

TEST(HttpReading, EndlessInterimResponsesAndEndlessHeadersEnd) {
  for (const bool interim : {true, false}) {
    HttpReading r = reading();
    std::size_t sent = 0;
    r.header("HTTP/1.1 200 OK\r\n");
    while (!r.verdict()) {
      ASSERT_LT(sent, 70'000U);
      const std::string_view line = interim ? "HTTP/1.1 100 Continue\r\n" : "X-A: 0123456789\r\n";
      r.header(line);
      sent += line.size();
    }
    EXPECT_EQ(r.verdict()->reason, "head too long");
  }
}

TEST(HttpReading, TheBodyIsFoundAcrossEveryBorderOfPieces) {
  const std::string body = "aaab";
  const std::string page = "xxaaaab";
  for (std::size_t first = 0; first <= page.size(); ++first) {
    for (std::size_t second = first; second <= page.size(); ++second) {
      HttpReading r = reading(body);
      head(r);
      r.body(page.substr(0, first));
      r.body(page.substr(first, second - first));
      r.body(page.substr(second));
      ASSERT_TRUE(r.verdict());
      EXPECT_EQ(r.verdict()->outcome, Outcome::kOk);
    }
  }
}

TEST(HttpReading, WithABodyTheVerdictWaitsForTheMatchOrTheEnd) {
  HttpReading r = reading("ready");
  head(r);
  EXPECT_FALSE(r.verdict());
  r.body("not yet rea");
  EXPECT_FALSE(r.verdict());
  HttpReading ended = r;
  r.body("dy and much more");
  EXPECT_EQ(r.verdict()->outcome, Outcome::kOk);
  ended.body("lly");
  ended.end();
  EXPECT_EQ(ended.verdict()->outcome, Outcome::kResponseError);
  EXPECT_EQ(ended.verdict()->reason, "body not as expected");
}

TEST(HttpReading, OnlyTheFirst64KiBOfTheBodyCount) {
  HttpReading inside = reading("end");
  head(inside);
  inside.body(std::string(65'533, '.'));
  EXPECT_FALSE(inside.verdict());
  inside.body("end, and more");
  EXPECT_EQ(inside.verdict()->outcome, Outcome::kOk);

  HttpReading outside = reading("end");
  head(outside);
  outside.body(std::string(65'534, '.') + "end");
  ASSERT_TRUE(outside.verdict());
  EXPECT_EQ(outside.verdict()->outcome, Outcome::kResponseError);
}

TEST(HttpReading, AFailedStatusIsNotSavedByTheBody) {
  HttpReading r = reading("ok");
  head(r, "HTTP/1.1 503 x\r\n");
  r.body("ok");
  EXPECT_EQ(r.verdict()->reason, "status 503");
}

TEST(HttpReading, TransferCodingsOtherThanChunkedAreRefusedWhereABodyIsRead) {
  for (const auto& [line, fine] :
       {std::pair{"Transfer-Encoding: Chunked\r\n", true}, std::pair{"transfer-encoding:zstd, chunked\r\n", false}}) {
    HttpReading r = reading("x");
    r.header("HTTP/1.1 200 OK\r\n");
    r.header(line);
    EXPECT_EQ(!r.verdict(), fine) << line;
    HttpReading without = reading();
    without.header("HTTP/1.1 200 OK\r\n");
    without.header(line);
    EXPECT_FALSE(without.verdict());
  }
}

TEST(HttpReading, WhatBreaksOffIsABrokenResponseUnlessTheVerdictHadFallen) {
  HttpReading open = reading("x");
  head(open);
  open.broken({Outcome::kResponseError, 0, "reset"});
  EXPECT_EQ(open.verdict()->reason, "reset");
  EXPECT_EQ(open.verdict()->status, 200);
  HttpReading fallen = reading();
  head(fallen);
  fallen.broken({Outcome::kResponseError, 0, "reset"});
  EXPECT_EQ(fallen.verdict()->outcome, Outcome::kOk);
}

}  // namespace
}  // namespace har::probe
