#include "probe/http_probe.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <list>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "net/clock.h"
#include "probe/curl_multi.h"
#include "probe/http_reading.h"
#include "probe/tls_stream.h"

namespace har::probe {

namespace {

using health::Outcome;

constexpr std::size_t kMostIdleHandles = 256;  // some 6 KiB each
constexpr long kBufferSize = 4 * 1024;         // a transfer's receive buffer; a head is rarely longer
constexpr long kCaMemory = 600;                // seconds until a CA file is read again, so that a new one is seen
constexpr Duration kLaneMemory = std::chrono::minutes(10);  // a CA file's multi handle without probes

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;
struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;

void append(List& list, const std::string& text) {
  if (curl_slist* const longer = curl_slist_append(list.get(), text.c_str())) {
    (void)list.release();
    list.reset(longer);
  }
}

std::string bracketed(const std::string& host) {
  const auto ip = IpAddress::parse(host);
  return ip && ip->family == Family::kV6 ? "[" + host + "]" : host;
}

Verdict verdict_of(CURLcode code, CURL* easy) {
  const auto response_error = [](std::string_view reason) { return Verdict{Outcome::kResponseError, 0, reason}; };
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION: {
      long verify_result = 0;
      curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verify_result);
      // The chain is verified in the handshake, the name after it: a 1 or 0, libcurl's values from before the result,
      // means that the chain was good.
      const bool is_name = verify_result == 0 || verify_result == 1;
      return response_error(is_name ? "certificate is for another name" : certificate_reason(verify_result));
    }
    case CURLE_SSL_CONNECT_ERROR:
      return response_error("TLS handshake failed");
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return response_error("certificate not trusted");
    case CURLE_UNSUPPORTED_PROTOCOL:  // HTTP/0.9
    case CURLE_WEIRD_SERVER_REPLY:
      return response_error("not HTTP");
    case CURLE_GOT_NOTHING:
      return response_error("no response");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return response_error("connection broke");
    case CURLE_PARTIAL_FILE:
      return response_error("body cut short");
    case CURLE_BAD_CONTENT_ENCODING:
      return response_error("body malformed");
    case CURLE_OUT_OF_MEMORY:
      return response_error("head too long");  // what libcurl says of a line over 100 KB
    case CURLE_OPERATION_TIMEDOUT:
      return Verdict{Outcome::kTimeout, 0, "timeout"};
    case CURLE_SSL_CACERT_BADFILE:
      return Verdict{Outcome::kOtherError, 0, "CA file cannot be read"};
    case CURLE_URL_MALFORMAT:
      return Verdict{Outcome::kOtherError, 0, "path or host not usable in a URL"};
    default:
      return Verdict{Outcome::kOtherError, 0, "transfer failed"};
  }
}

// One running probe.
struct Exchange {
  Exchange(const config::Check& check, HttpProbes::Secured s, HttpProbes::Done d)
      : reading(check.http->expect_status, check.http->expect_body), secured(std::move(s)), done(std::move(d)) {}

  // Remembers when the verdict fell; says whether libcurl shall go on.
  bool goes_on() {
    if (reading.verdict() && fell_at == Instant{}) fell_at = net::now();
    return !reading.verdict();
  }

  HttpProbes::Ticket ticket = 0;
  HttpReading reading;
  HttpProbes::Secured secured;
  HttpProbes::Done done;
  bool is_secured = false;
  Instant fell_at{};
  net::Fd socket;  // until libcurl takes it
  List headers, connect_to;
  Easy easy;
  CurlMulti* multi = nullptr;
};

std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* exchange) {
  auto& e = *static_cast<Exchange*>(exchange);
  e.reading.header({bytes, size * count});
  return e.goes_on() ? size * count : 0;
}

std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* exchange) {
  auto& e = *static_cast<Exchange*>(exchange);
  e.reading.body({bytes, size * count});
  return e.goes_on() ? size * count : 0;
}

int on_request(void* exchange, char*, char*, int, int) {
  auto& e = *static_cast<Exchange*>(exchange);
  if (!std::exchange(e.is_secured, true)) e.secured();
  return CURL_PREREQFUNC_OK;
}

// The connected socket, once; a second connection is not made.
curl_socket_t on_open(void* exchange, curlsocktype, curl_sockaddr*) {
  auto& e = *static_cast<Exchange*>(exchange);
  return e.socket ? e.socket.release() : CURL_SOCKET_BAD;
}
int on_opened(void*, curl_socket_t, curlsocktype) { return CURL_SOCKOPT_ALREADY_CONNECTED; }

int on_close(void* closer, curl_socket_t socket) {
  static_cast<PoliteCloser*>(closer)->close(net::Fd(socket));
  return 0;
}

}  // namespace

std::string probe_url(const config::Check& check) {
  const std::string& host = check.http_host.empty() ? check.host : check.http_host;
  const std::string_view scheme = check.method == config::CheckMethod::kHttps ? "https" : "http";
  return fmt::format("{}://{}:{}{}", scheme, bracketed(host), check.port,
                     check.http->path.empty() ? "/" : check.http->path);
}

struct HttpProbes::Impl {
  struct Lane {
    std::string ca_file;
    std::unique_ptr<CurlMulti> multi;
    Instant used{};
  };

  Impl(net::Loop& l, PoliteCloser& c) : loop(l), closer(c) {}
  ~Impl() {
    for (auto& [ticket, exchange] : running) exchange->multi->remove(exchange->easy.get());
    running.clear();
    idle.clear();
    lanes.clear();
    if (has_library) curl_global_cleanup();
  }

  // Most configurations have no check that needs libcurl: its start costs them neither time nor memory.
  bool start_library() {
    if (!has_library) has_library = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    return has_library;
  }

  CurlMulti& lane(const std::string& ca_file) {
    const Instant now = net::now();
    CurlMulti* found = nullptr;
    for (auto at = lanes.begin(); at != lanes.end();) {
      if (at->ca_file == ca_file) {
        at->used = now;
        found = at->multi.get();
      } else if (at->multi->size() == 0 && now - at->used > kLaneMemory) {
        at = lanes.erase(at);
        continue;
      }
      ++at;
    }
    if (found != nullptr) return *found;
    Lane& made = lanes.emplace_back();
    made.ca_file = ca_file;
    made.multi = std::make_unique<CurlMulti>(loop, [this](CURL* e, CURLcode r) { finished(e, r); });
    made.used = now;
    return *made.multi;
  }

  // What is the same for all probes.
  Easy new_easy() {
    Easy easy(curl_easy_init());
    if (!easy) return easy;
    CURL* const e = easy.get();
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(e, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "har/" HAR_VERSION);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, kBufferSize);
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(e, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, kCaMemory);
    curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, 0L);  // literals only: nothing to be remembered
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, &on_header);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, &on_request);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, &on_open);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, &on_opened);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, &on_close);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, &closer);
    return easy;
  }

  // What is this probe's own. Everything that one probe sets, every probe sets: the handles are used again.
  bool prepare(Exchange& x, const health::CheckTarget& target, const std::string& ca_file) {
    const config::Check& check = target.check;
    CURL* const e = x.easy.get();
    append(x.connect_to, fmt::format("::{}:{}", bracketed(target.address.to_string()), check.port));
    for (const std::string& line : check.http->headers) {
      if (line.find_first_of("\r\n") == line.npos) append(x.headers, line);
    }
    const bool url = curl_easy_setopt(e, CURLOPT_URL, probe_url(check).c_str()) == CURLE_OK;
    curl_easy_setopt(e, CURLOPT_CONNECT_TO, x.connect_to.get());
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, x.headers.get());
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, check.tls_verify ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, check.tls_verify ? 2L : 0L);
    curl_easy_setopt(e, CURLOPT_CAINFO, check.tls_verify ? ca_file.c_str() : nullptr);
    for (const CURLoption data :
         {CURLOPT_HEADERDATA, CURLOPT_WRITEDATA, CURLOPT_PREREQDATA, CURLOPT_OPENSOCKETDATA, CURLOPT_PRIVATE}) {
      curl_easy_setopt(e, data, static_cast<void*>(&x));
    }
    return url && x.connect_to != nullptr;
  }

  void finished(CURL* easy, CURLcode code) {
    void* pointer = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &pointer);
    const auto at = running.find(static_cast<Exchange*>(pointer)->ticket);
    HAR_ASSERT(at != running.end());
    const std::unique_ptr<Exchange> x = std::move(at->second);
    running.erase(at);
    if (code == CURLE_OK)
      x->reading.end();
    else
      x->reading.broken(verdict_of(code, easy));
    x->goes_on();
    put_back(std::move(x->easy));
    x->done(*x->reading.verdict(), x->fell_at);
  }

  void put_back(Easy easy) {
    if (idle.size() < kMostIdleHandles) idle.push_back(std::move(easy));
  }

  // fixed after construction
  net::Loop& loop;
  PoliteCloser& closer;
  const std::string system_ca = system_ca_file();
  // the handles before the multis: a multi must have let go of its handles before they are destroyed, see ~Impl()
  std::list<Lane> lanes;
  std::vector<Easy> idle;
  std::unordered_map<Ticket, std::unique_ptr<Exchange>> running;
  Ticket last_ticket = 0;
  bool has_library = false;
};

HttpProbes::HttpProbes(net::Loop& loop, PoliteCloser& closer) : impl_(std::make_unique<Impl>(loop, closer)) {}
HttpProbes::~HttpProbes() = default;

std::optional<HttpProbes::Ticket> HttpProbes::begin(net::Fd connected, const health::CheckTarget& target,
                                                    Secured secured, Done done) {
  if (!impl_->start_library()) return std::nullopt;
  auto x = std::make_unique<Exchange>(target.check, std::move(secured), std::move(done));
  x->socket = std::move(connected);
  if (impl_->idle.empty()) {
    x->easy = impl_->new_easy();
  } else {
    x->easy = std::move(impl_->idle.back());
    impl_->idle.pop_back();
  }
  if (!x->easy) return std::nullopt;
  const std::string& ca_file = target.check->http->ca_file.empty() ? impl_->system_ca : target.check->http->ca_file;
  const bool needs_ca = target.check->method == config::CheckMethod::kHttps && target.check->tls_verify;
  x->multi = &impl_->lane(needs_ca ? ca_file : impl_->system_ca);
  if (!impl_->prepare(*x, target, ca_file) || !x->multi->add(x->easy.get())) return std::nullopt;
  const Ticket ticket = x->ticket = ++impl_->last_ticket;
  impl_->running.emplace(ticket, std::move(x));
  return ticket;
}

void HttpProbes::give_up(Ticket ticket) {
  const auto at = impl_->running.find(ticket);
  if (at == impl_->running.end()) return;
  at->second->multi->remove(at->second->easy.get());
  impl_->put_back(std::move(at->second->easy));
  impl_->running.erase(at);
}

bool HttpProbes::has_head(Ticket ticket) const {
  const auto at = impl_->running.find(ticket);
  return at != impl_->running.end() && at->second->reading.has_head();
}

}  // namespace har::probe
