// HTTPS checks against `openssl s_server`, with certificates made when the tests start.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "probe/http_probe.h"
#include "probe/testing.h"

extern char** environ;

namespace har::probe {
namespace {

using config::CheckMethod;
using health::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Peer;
using testing::probe_once;
using testing::Server;
using testing::Single;
using testing::target;

// `openssl s_server -www`: a page to every GET. Its port is read from its own words.
class TlsServer {
 public:
  explicit TlsServer(std::vector<std::string> arguments) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    for (const char* a : {"-www", "127.0.0.1:0", "-accept", "s_server", "openssl"})
      arguments.insert(arguments.begin(), a);
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    if (posix_spawnp(&pid_, "openssl", &actions, nullptr, argv.data(), environ) != 0) std::abort();
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    output_ = net::Fd(ends[0]);
    std::string said;
    char c = 0;
    while (read(output_.get(), &c, 1) == 1) {
      said += c;
      const auto at = said.find("ACCEPT 127.0.0.1:");
      if (at != said.npos && c == '\n') {
        port_ = static_cast<std::uint16_t>(std::stoi(said.substr(at + 17)));
        break;
      }
    }
  }
  ~TlsServer() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  std::uint16_t port() const { return port_; }

 private:
  pid_t pid_ = 0;
  net::Fd output_;
  std::uint16_t port_ = 0;
};

class HttpsProbe : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    char name[] = "/tmp/har-https-test-XXXXXX";
    folder_ = new std::string(mkdtemp(name));
    run("openssl req -x509 " + kKey + " -keyout ca.key -out ca.pem -subj /CN=har-test-ca -days 2");
    run("openssl req -x509 " + kKey +
        " -keyout self.key -out self.pem -subj /CN=x -days 2"
        " -addext subjectAltName=DNS:api.example.test");
    leaf("good", "DNS:api.example.test,IP:127.0.0.1", "2");
    leaf("other", "DNS:other.example.test", "2");
    leaf("expired", "DNS:api.example.test", "-1");
  }
  static void TearDownTestSuite() {
    std::filesystem::remove_all(*folder_);
    delete folder_;
  }

  static std::string file(const std::string& name) { return *folder_ + "/" + name; }
  static Single probe(const std::string& certificate, const std::function<void(config::Check&)>& change = {}) {
    const TlsServer server({"-cert", file(certificate + ".pem"), "-key", file(certificate + ".key")});
    return probe_port(server.port(), change);
  }
  static Single probe_port(std::uint16_t port, const std::function<void(config::Check&)>& change = {}) {
    auto t = target(CheckMethod::kHttps, port);
    t.check.http.edit().ca_file = file("ca.pem");
    t.check.timeout = seconds(3);
    if (change) change(t.check);
    return probe_once(t);
  }

 private:
  inline static const std::string kKey = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  static void run(const std::string& command) {
    ASSERT_EQ(std::system(("cd " + *folder_ + " && " + command + " 2>/dev/null").c_str()), 0) << command;
  }
  static void leaf(const std::string& name, const std::string& names, const std::string& days) {
    run("openssl req " + kKey + " -keyout " + name + ".key -out " + name +
        ".csr -subj /CN=x -addext subjectAltName=" + names);
    run("openssl x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -copy_extensions copy -days " + days +
        " -out " + name + ".pem");
  }
  inline static std::string* folder_ = nullptr;
};

TEST_F(HttpsProbe, AGoodCertificateIsOk) {
  const Single single = probe("good");
  EXPECT_EQ(single.outcome(), Outcome::kOk) << single.reason();
  EXPECT_EQ(single.observation->status, 200);
  EXPECT_LT(single.observation->connect, milliseconds(20));
}

TEST_F(HttpsProbe, TheBodyIsReadThroughTls) {
  EXPECT_EQ(probe("good", [](config::Check& c) { c.http.edit().expect_body = "Ciphers supported"; }).outcome(),
            Outcome::kOk);
  EXPECT_EQ(probe("good", [](config::Check& c) { c.http.edit().expect_body = "not there"; }).reason(),
            "body not as expected");
}

TEST_F(HttpsProbe, BadCertificatesAreResponseErrorsThatSayWhy) {
  for (const auto& [certificate, reason] :
       {std::pair{"expired", "certificate expired"}, std::pair{"other", "certificate is for another name"},
        std::pair{"self", "certificate self-signed"}}) {
    const Single single = probe(certificate);
    EXPECT_EQ(single.outcome(), Outcome::kResponseError);
    EXPECT_EQ(single.reason(), reason);
    // Not looked at where nobody wants that.
    EXPECT_EQ(probe(certificate, [](config::Check& c) { c.tls_verify = false; }).outcome(), Outcome::kOk);
  }
}

TEST_F(HttpsProbe, WithoutACaFileTheSystemsBundleDecides) {
  const Single single = probe("good", [](config::Check& c) { c.http.edit().ca_file.clear(); });
  EXPECT_EQ(single.outcome(), Outcome::kResponseError);
  EXPECT_EQ(single.reason(), "certificate of unknown issuer");
}

TEST_F(HttpsProbe, ACaFileThatIsNotThereIsAnErrorOfOurOwn) {
  const Single single = probe("good", [](config::Check& c) { c.http.edit().ca_file = file("missing.pem"); });
  EXPECT_EQ(single.outcome(), Outcome::kOtherError);
  EXPECT_EQ(single.reason(), "CA file cannot be read");
}

TEST_F(HttpsProbe, CheckHostIsWhatTheCertificateMustName) {
  EXPECT_EQ(probe("other", [](config::Check& c) { c.http_host = "other.example.test"; }).outcome(), Outcome::kOk);
  EXPECT_EQ(probe("good", [](config::Check& c) { c.http_host = "127.0.0.1"; }).outcome(), Outcome::kOk);
  EXPECT_EQ(probe("good", [](config::Check& c) { c.http_host = "127.0.0.2"; }).outcome(), Outcome::kResponseError);
}

TEST_F(HttpsProbe, TheServerNameIndicationIsTheHostAndOnlyHttp11IsOffered) {
  std::string hello;
  Server server([&](const Peer& p) {
    char buffer[4096];
    const ssize_t n = recv(p.fd(), buffer, sizeof buffer, 0);
    if (n > 0) hello.assign(buffer, static_cast<std::size_t>(n));
  });
  EXPECT_EQ(probe_port(server.port()).outcome(), Outcome::kResponseError);
  EXPECT_NE(hello.find("api.example.test"), hello.npos);
  EXPECT_NE(hello.find("http/1.1"), hello.npos);
  EXPECT_EQ(hello.find("\x02h2"), hello.npos);
}

TEST_F(HttpsProbe, GarbageInsteadOfTlsIsAResponseError) {
  for (const std::string& garbage : {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string(5'000, '\xff'),
                                     std::string("\x16\x03\x03\xff\xff", 5) + std::string(70'000, '\0'),
                                     std::string("\x15\x03\x03\x00\x02\x02\x28", 7)}) {
    const Server server([&](const Peer& p) {
      p.send(garbage);
      shutdown(p.fd(), SHUT_WR);
      p.read_end();
    });
    const Single single = probe_port(server.port());
    EXPECT_EQ(single.outcome(), Outcome::kResponseError) << single.reason();
  }
}

TEST_F(HttpsProbe, AResetInTheHandshakeIsAResponseErrorAndSilenceATimeout) {
  const Server resetting([](const Peer& p) {
    char c = 0;
    (void)recv(p.fd(), &c, 1, 0);
    p.reset();
  });
  EXPECT_EQ(probe_port(resetting.port()).outcome(), Outcome::kResponseError);
  const Server silent([](const Peer& p) { p.read_end(); });
  const Single single = probe_port(silent.port(), [](config::Check& c) { c.timeout = milliseconds(300); });
  EXPECT_EQ(single.outcome(), Outcome::kTimeout);
  EXPECT_EQ(single.reason(), "timeout in the TLS handshake");
  EXPECT_LT(single.observation->total, milliseconds(400));
}

}  // namespace
}  // namespace har::probe
