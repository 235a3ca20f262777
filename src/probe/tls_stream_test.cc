#include "probe/tls_stream.h"

// HTTPS checks against `openssl s_server`, with certificates made when the tests start.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

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

class HttpsCheck : public ::testing::Test {
 public:
  static std::string file(const std::string& name) { return *folder_ + "/" + name; }

 protected:
  static void SetUpTestSuite() {
    signal(SIGPIPE, SIG_IGN);  // the servers of these tests write with write()
    char name[] = "/tmp/har-https-test-XXXXXX";
    folder_ = new std::string(mkdtemp(name));
    run("openssl req -x509 " + kKey + " -keyout ca.key -out ca.pem -subj /CN=har-test-ca -days 2");
    run("openssl req -x509 " + kKey +
        " -keyout self.key -out self.pem -subj /CN=x -days 2"
        " -addext subjectAltName=DNS:api.example.test");
    leaf("good", "DNS:api.example.test,IP:127.0.0.1", "2");
    leaf("other", "DNS:other.example.test", "2");
    leaf("expired", "DNS:api.example.test", "-1");
    leaf("old-other", "DNS:other.example.test", "-1");
    leaf("wild", "DNS:*.example.test", "2");
    leaf("wild-zone", "DNS:*.my_zone.example.test", "2");
    leaf("wild-common", "", "2", "*.example.test");
    leaf("common", "", "2", "api.example.test");
    leaf("common-ip", "", "2", "127.0.0.1");
    std::string names;
    for (int i = 0; i < 6'000; ++i) names += (i == 0 ? "DNS:n" : ",DNS:n") + std::to_string(i) + ".a-long-name.example";
    leaf("huge", names, "2");
  }
  static void TearDownTestSuite() {
    std::filesystem::remove_all(*folder_);
    delete folder_;
  }

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
  static void leaf(const std::string& name, const std::string& names, const std::string& days,
                   const std::string& common = "x") {
    // In a file: what is on a command line has its limits.
    std::ofstream(file(name + ".cnf")) << "[req]\ndistinguished_name=n\n[n]\n[e]\nbasicConstraints=CA:FALSE\n"
                                       << (names.empty() ? "" : "subjectAltName=" + names + "\n");
    run("openssl req " + kKey + " -keyout " + name + ".key -out " + name + ".csr -subj /CN=" + common + " -config " +
        name + ".cnf -reqexts e");
    run("openssl x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -copy_extensions copy -days " + days +
        " -out " + name + ".pem");
  }
  inline static std::string* folder_ = nullptr;
};

TEST_F(HttpsCheck, AGoodCertificateIsOk) {
  const Single single = probe("good");
  EXPECT_EQ(single.outcome(), Outcome::kOk) << single.reason();
  EXPECT_EQ(single.observation->status, 200);
  EXPECT_LT(single.observation->connect, milliseconds(20));
}

TEST_F(HttpsCheck, TheBodyIsReadThroughTls) {
  EXPECT_EQ(probe("good", [](config::Check& c) { c.http.edit().expect_body = "Ciphers supported"; }).outcome(),
            Outcome::kOk);
  EXPECT_EQ(probe("good", [](config::Check& c) { c.http.edit().expect_body = "not there"; }).reason(),
            "body not as expected");
}

TEST_F(HttpsCheck, BadCertificatesAreResponseErrorsThatSayWhy) {
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

TEST_F(HttpsCheck, WithoutACaFileTheSystemsBundleDecides) {
  const Single single = probe("good", [](config::Check& c) { c.http.edit().ca_file.clear(); });
  EXPECT_EQ(single.outcome(), Outcome::kResponseError);
  EXPECT_EQ(single.reason(), "certificate of unknown issuer");
}

TEST_F(HttpsCheck, ACaFileThatIsNotThereIsAnErrorOfOurOwn) {
  const Single single = probe("good", [](config::Check& c) { c.http.edit().ca_file = file("missing.pem"); });
  EXPECT_EQ(single.outcome(), Outcome::kOtherError);
  EXPECT_EQ(single.reason(), "CA file cannot be read");
}

TEST_F(HttpsCheck, CheckHostIsWhatTheCertificateMustName) {
  EXPECT_EQ(probe("other", [](config::Check& c) { c.http_host = "other.example.test"; }).outcome(), Outcome::kOk);
  EXPECT_EQ(probe("good", [](config::Check& c) { c.http_host = "127.0.0.1"; }).outcome(), Outcome::kOk);
  EXPECT_EQ(probe("good", [](config::Check& c) { c.http_host = "127.0.0.2"; }).outcome(), Outcome::kResponseError);
}

TEST_F(HttpsCheck, TheServerNameIndicationIsTheHostAndOnlyHttp11IsOffered) {
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

TEST_F(HttpsCheck, GarbageInsteadOfTlsIsAResponseError) {
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

TEST_F(HttpsCheck, AResetInTheHandshakeIsAResponseErrorAndSilenceATimeout) {
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

TEST_F(HttpsCheck, EachCertificateIsJudgedAsLibcurlJudgesIt) {
  struct Case {
    std::string certificate, host, reason;
  };
  const std::string name = "api.example.test";
  for (const auto& [certificate, host, reason] : {
           Case{"good", name, "status 200"},
           Case{"good", "API.Example.test", "status 200"},
           Case{"good", "api.example.tes", "certificate is for another name"},
           Case{"good", "127.0.0.1", "status 200"},
           Case{"good", "127.0.0.2", "certificate is for another name"},
           Case{"wild", name, "status 200"},
           Case{"wild", "my_api.example.test", "status 200"},
           Case{"wild", "a_b.api.example.test", "certificate is for another name"},
           Case{"wild", "my_example.test", "certificate is for another name"},
           Case{"wild", "my.exam_ple.test", "certificate is for another name"},
           Case{"wild-zone", "www.my_zone.example.test", "status 200"},
           Case{"wild-zone", "my_www.my_zone.example.test", "status 200"},
           Case{"wild-zone", "www.my-zone.example.test", "certificate is for another name"},
           Case{"wild-common", "www.example.test", "status 200"},
           Case{"wild-common", "my_api.example.test", "status 200"},
           Case{"wild-common", "my_api.other.test", "certificate is for another name"},
           Case{"good", "my_api.example.test", "certificate is for another name"},
           Case{"wild", "a.api.example.test", "certificate is for another name"},
           Case{"wild", "example.test", "certificate is for another name"},
           Case{"common", name, "status 200"},
           Case{"common", "other.example.test", "certificate is for another name"},
           Case{"common-ip", "127.0.0.1", "status 200"},
           Case{"common-ip", "127.0.0.2", "certificate is for another name"},
           Case{"expired", name, "certificate expired"},
           Case{"old-other", name, "certificate expired"},
           Case{"self", name, "certificate self-signed"},
           Case{"huge", name, "TLS handshake failed"},
       }) {
    const TlsServer server({"-cert", file(certificate + ".pem"), "-key", file(certificate + ".key")});
    const Single single = probe_port(server.port(), [host = host](config::Check& c) { c.http_host = host; });
    EXPECT_EQ(single.reason(), reason) << certificate << " for " << host;
  }
}

TEST_F(HttpsCheck, EachCertificateOfTheCaFileIsTrustedThoughItIsNoAuthority) {
  EXPECT_EQ(probe("good", [](config::Check& c) { c.http.edit().ca_file = file("good.pem"); }).outcome(), Outcome::kOk);
  EXPECT_EQ(probe("self", [](config::Check& c) { c.http.edit().ca_file = file("self.pem"); }).outcome(), Outcome::kOk);
}

TEST_F(HttpsCheck, ACaFileIsReadAgainAfterTenMinutes) {
  TlsContexts contexts;
  const auto get = [&](const std::string& name, bool verify, Duration after) {
    SSL_CTX* const context = contexts.get(file(name), verify, Instant{} + after);
    if (context != nullptr) SSL_CTX_up_ref(context);  // or a new one might get an old one's place
    return std::unique_ptr<SSL_CTX, FreeTls>(context);
  };
  using std::chrono::minutes;
  const auto first = get("ca.pem", true, minutes(0));
  const auto lax = get("ca.pem", false, minutes(0));
  EXPECT_NE(first, nullptr);
  EXPECT_NE(first, lax);
  EXPECT_EQ(get("missing.pem", true, minutes(1)), nullptr);
  EXPECT_EQ(get("missing.pem", false, minutes(1)), lax);
  EXPECT_EQ(get("ca.pem", true, minutes(9)), first);
  const auto second = get("ca.pem", true, minutes(10));
  EXPECT_NE(second, first);
  EXPECT_EQ(get("ca.pem", true, minutes(19)), second);
}

TEST_F(HttpsCheck, ACaFileIsReadAgainOnceWhenThatIsAskedFor) {
  TlsContexts contexts;
  const std::string copy = file("changing.pem");
  const auto get = [&] {
    SSL_CTX* const context = contexts.get(copy, true, Instant{});
    SSL_CTX_up_ref(context);  // or a new one might get an old one's place
    return std::unique_ptr<SSL_CTX, FreeTls>(context);
  };
  std::filesystem::copy_file(file("ca.pem"), copy);
  const auto first = get();
  EXPECT_EQ(get(), first);
  contexts.read_again();
  const auto second = get();
  EXPECT_NE(second, first);
  EXPECT_EQ(get(), second);
  std::filesystem::remove(copy);
  contexts.read_again();
  EXPECT_EQ(get(), second) << "where that fails, what was read before counts on";
}

TEST_F(HttpsCheck, ACaFileThatCannotBeReadAgainCountsAsItWas) {
  TlsContexts contexts;
  const std::string copy = file("copy.pem");
  const auto get = [&](Duration after) { return contexts.get(copy, true, Instant{} + after); };
  using std::chrono::minutes;
  EXPECT_EQ(get(minutes(0)), nullptr);
  std::filesystem::copy_file(file("ca.pem"), copy);
  SSL_CTX* const first = get(minutes(0));
  ASSERT_NE(first, nullptr) << "what was never read is tried each time";
  std::filesystem::remove(copy);
  EXPECT_EQ(get(minutes(10)), first);
  SSL_CTX_up_ref(first);  // or a new one might get its place
  const std::unique_ptr<SSL_CTX, FreeTls> kept(first);
  std::filesystem::copy_file(file("ca.pem"), copy);
  EXPECT_NE(get(minutes(11)), first);
}

TEST_F(HttpsCheck, NoSessionIsResumed) {
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    const TlsServer server({version, "-cert", file("good.pem"), "-key", file("good.key")});
    for (int i = 0; i < 3; ++i) {
      // The page says whether it was: "New, TLSv1.3, Cipher is ..." or "Reused, ...".
      EXPECT_EQ(probe_port(server.port(), [](config::Check& c) { c.http.edit().expect_body = "New, TLSv1"; }).outcome(),
                Outcome::kOk);
    }
  }
}

// A server that does what it is told when the handshake is done.
Server::Behaviour secured(std::function<void(SSL*, const Peer&)> behaviour, int version = TLS1_3_VERSION) {
  return [behaviour, version, certificate = HttpsCheck::file("good")](const Peer& p) {
    const std::unique_ptr<SSL_CTX, FreeTls> context(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_use_certificate_file(context.get(), (certificate + ".pem").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context.get(), (certificate + ".key").c_str(), SSL_FILETYPE_PEM);
    const std::unique_ptr<SSL, FreeTls> connection(SSL_new(context.get()));
    SSL_set_fd(connection.get(), p.fd());
    if (SSL_accept(connection.get()) != 1) return;
    char request[4096];
    SSL_read(connection.get(), request, sizeof request);
    behaviour(connection.get(), p);
    shutdown(p.fd(), SHUT_WR);
    p.read_end();
  };
}

void say(SSL* connection, std::string_view text) {
  if (!text.empty()) SSL_write(connection, text.data(), static_cast<int>(text.size()));
}

TEST_F(HttpsCheck, AnEndIsOneThoughTlsDoesNotSayIt) {
  constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\n\r\nall is we";
  constexpr std::string_view kCut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall";
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const auto& [text, is_said, reason] : {std::tuple{kHead, true, "body not as expected"},
                                                {kHead, false, "body not as expected"},
                                                {std::string_view(), true, "no response"},
                                                {std::string_view(), false, "no response"},
                                                {std::string_view("HTTP/1.1 200"), false, "no response"},
                                                {kCut, false, "body cut short"}}) {
      const Server server(secured(
          [&, text = text, is_said = is_said](SSL* connection, const Peer&) {
            say(connection, text);
            if (is_said) SSL_shutdown(connection);
          },
          version));
      const Single single =
          probe_port(server.port(), [](config::Check& c) { c.http.edit().expect_body = "all is well"; });
      EXPECT_EQ(single.outcome(), Outcome::kResponseError);
      EXPECT_EQ(single.reason(), reason) << text << is_said;
    }
  }
}

TEST_F(HttpsCheck, GarbageAndAlertsBehindTheHandshakeBreakTheConnection) {
  for (const std::string& garbage : {std::string(20'000, '\xff'), std::string("\x15\x03\x03\x00\x02\x02\x28", 7),
                                     std::string("\x17\x03\x03\x00\x05hello", 10)}) {
    const Server server(secured([&](SSL* connection, const Peer& p) {
      say(connection, "HTTP/1.1 200 OK\r\n");
      p.send(garbage);
    }));
    EXPECT_EQ(probe_port(server.port()).reason(), "connection broke");
  }
}

TEST_F(HttpsCheck, AnEndlessBodyAndEndlessRecordsWithoutTextEndInTime) {
  for (const bool has_text : {true, false}) {
    const Server server(secured([&](SSL* connection, const Peer&) {
      say(connection, "HTTP/1.1 200 OK\r\n\r\n");
      const std::string text(10'000, 'x');
      for (bool goes_on = true; goes_on;) {  // until the peer has gone
        goes_on = has_text
                      ? SSL_write(connection, text.data(), 10'000) > 0
                      : SSL_key_update(connection, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(connection) == 1;
      }
    }));
    const Single single = probe_port(server.port(), [](config::Check& c) {
      c.http.edit().expect_body = "not there";
      c.timeout = milliseconds(500);
    });
    EXPECT_EQ(single.reason(), has_text ? "body not as expected in its first 64 KiB" : "connection broke");
    EXPECT_LT(single.took, seconds(3)) << has_text;
  }
}

TEST_F(HttpsCheck, AHandshakeThatDripsEndsAtTheTimeout) {
  const Server server([](const Peer& p) {
    p.send(std::string("\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", 9));  // a ServerHello of 16 KB ...
    timeval pause{.tv_sec = 0, .tv_usec = 20'000};
    setsockopt(p.fd(), SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause);
    while (p.send("x") && p.read_end() == EAGAIN) {  // ... octet by octet
    }
  });
  const Single single = probe_port(server.port(), [](config::Check& c) { c.timeout = milliseconds(300); });
  EXPECT_EQ(single.reason(), "timeout in the TLS handshake");
}

}  // namespace
}  // namespace har::probe
