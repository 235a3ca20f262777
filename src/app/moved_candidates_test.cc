#include "app/moved_candidates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace har::app {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

config::Candidate candidate(const std::string& title, const std::string& host, std::uint16_t port = 80,
                            config::CheckMethod method = config::CheckMethod::kHttp) {
  config::Check check;
  check.host = host;
  check.port = port;
  check.method = method;
  config::Candidate out;
  out.title = title;
  out.check = check;
  return out;
}

config::Config with(std::vector<config::Candidate> candidates) {
  config::Config config;
  config.names.resize(1);
  config.names[0].host = "a.test";
  config.names[0].candidates = std::move(candidates);
  return config;
}

TEST(MovedCandidates, AreThoseOfAnotherHostPortOrProtocol) {
  const auto before = with({candidate("host", "x"), candidate("port", "x"), candidate("protocol", "x"),
                            candidate("same", "x"), candidate("gone", "x")});
  auto now =
      with({candidate("host", "y"), candidate("port", "x", 81),
            candidate("protocol", "x", 80, config::CheckMethod::kTcp), candidate("same", "x"), candidate("new", "x")});
  now.names[0].candidates[3].check.edit().frequency = std::chrono::seconds(9);
  using Key = std::pair<std::string, std::string>;
  EXPECT_THAT(moved_candidates(before, now),
              UnorderedElementsAre(Key("a.test", "host"), Key("a.test", "port"), Key("a.test", "protocol")));
  now.names[0].host = "b.test";
  EXPECT_THAT(moved_candidates(before, now), IsEmpty());
}

TEST(MovedCandidates, TheirRowsDoNotCountButTheOperatorsWord) {
  std::vector<health::StoredEndpoint> rows(2);
  rows[0].name = rows[1].name = "a.test";
  rows[0].candidate = "moved";
  rows[0].drained = true;
  rows[1].candidate = "same";
  forget_moved({{"a.test", "moved"}}, rows);
  EXPECT_EQ(rows[0].age, Duration::max());
  EXPECT_TRUE(rows[0].drained);
  EXPECT_EQ(rows[1].age, Duration::zero());
}

}  // namespace
}  // namespace har::app
