#include "probe/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "base/ip.h"

namespace har::probe {

namespace {

constexpr Duration kCaMemory = std::chrono::minutes(10);  // until a CA file is read again, so that a new one is seen
constexpr Duration kCaRetry = std::chrono::minutes(1);    // where that has failed
constexpr const char* kSystemCaFile = "/etc/ssl/certs/ca-certificates.crt";  // Debian's package ca-certificates
constexpr unsigned kMostRecordsWithoutText = 64;  // tickets, new keys: each costs us far more than the peer
constexpr std::array<unsigned char, 9> kAlpn = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

// Versions, ciphers, curves and the security level are the library's, which openssl.cnf sets for the whole system.
std::unique_ptr<SSL_CTX, FreeTls> make_context(const std::string& ca_file, bool verify) {
  std::unique_ptr<SSL_CTX, FreeTls> made(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const c = made.get();
  if (c == nullptr) return made;
  SSL_CTX_set_options(c, SSL_OP_ALL | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_clear_options(c, SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);  // thousands may wait for a response
  SSL_CTX_clear_mode(c, SSL_MODE_AUTO_RETRY);     // read() counts
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_protos(c, kAlpn.data(), kAlpn.size());
  // A server that asks for a certificate when it has seen the path gets an empty one.
  SSL_CTX_set_post_handshake_auth(c, 1);
  SSL_CTX_set_verify(c, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!verify) return made;
  // Each certificate of the file is trusted, not only those that end a chain: an intermediate one, or the server's own.
  X509_STORE_set_flags(SSL_CTX_get_cert_store(c), X509_V_FLAG_PARTIAL_CHAIN);
  if (SSL_CTX_load_verify_file(c, ca_file.c_str()) != 1) made.reset();
  return made;
}

// OpenSSL lets a wildcard stand for letters, digits and hyphens, and before labels of these; hosts have underscores as
// well. As for OpenSSL it is a whole label, the first, with two more behind it.
bool is_under_a_wildcard(X509* certificate, const std::string& host, unsigned flags) {
  const auto dot = host.find('.');
  if (host.find('_') == host.npos || dot == host.npos || dot == host.rfind('.')) return false;
  const std::string wildcard = "*" + host.substr(dot);
  return X509_check_host(certificate, wildcard.data(), wildcard.size(), X509_CHECK_FLAG_NO_WILDCARDS | flags,
                         nullptr) == 1;
}

bool names_host(X509* certificate, const std::string& host, unsigned flags) {
  return X509_check_host(certificate, host.data(), host.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | flags,
                         nullptr) == 1 ||
         is_under_a_wildcard(certificate, host, flags);
}

// What to say of an X509_V_ERR_….
std::string_view certificate_reason(long verify_result) {
  switch (verify_result) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "certificate not yet valid";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "certificate expired";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "certificate self-signed";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "certificate of unknown issuer";
    case X509_V_ERR_CERT_REVOKED:
      return "certificate revoked";
    default:
      return "certificate not trusted";
  }
}

}  // namespace

void FreeTls::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
void FreeTls::operator()(SSL* connection) const { SSL_free(connection); }

SSL_CTX* TlsContexts::get(const std::string& ca_file, bool verify, Instant now) {
  std::erase_if(kept_, [&](const Kept& k) { return now - k.asked_for_at >= 2 * kCaMemory; });
  const std::string file = !verify ? "" : ca_file.empty() ? kSystemCaFile : ca_file;
  auto at =
      std::find_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.verify == verify && k.ca_file == file; });
  if (at == kept_.end())
    at = kept_.insert(at, {.ca_file = file, .verify = verify, .read_again_at = now, .context = {}});
  at->asked_for_at = now;
  if (now >= at->read_again_at) {
    ERR_clear_error();
    auto made = make_context(file, verify);
    ERR_clear_error();
    at->read_again_at = now + (made ? kCaMemory : at->context ? kCaRetry : Duration::zero());
    if (made) at->context = std::move(made);
  }
  return at->context.get();
}

void TlsContexts::read_again() {
  for (Kept& kept : kept_) kept.read_again_at = Instant::min();
}

TlsStream::TlsStream(SSL_CTX* context, std::string_view host) : connection_(SSL_new(context)), host_(host) {
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  HAR_ASSERT(connection_ != nullptr && in != nullptr && out != nullptr);
  SSL* const c = connection_.get();
  SSL_set_bio(c, in, out);
  SSL_set_connect_state(c);
  std::transform(host_.begin(), host_.end(), host_.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter;
  });
  if (!IpAddress::parse(host_)) (void)SSL_set_tlsext_host_name(c, host_.c_str());  // in vain: longer than a name can be
}

std::optional<std::string_view> TlsStream::shake_hands() {
  SSL* const c = connection_.get();
  ERR_clear_error();
  const int result = SSL_do_handshake(c);
  if (result == 1) {
    is_secured_ = SSL_get_verify_mode(c) == SSL_VERIFY_NONE || has_its_name();
    ERR_clear_error();
    if (is_secured_) return std::nullopt;
    return "certificate is for another name";
  }
  if (SSL_get_error(c, result) == SSL_ERROR_WANT_READ) return std::nullopt;
  is_broken_ = true;
  const unsigned long error = ERR_peek_error();
  ERR_clear_error();
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    return certificate_reason(SSL_get_verify_result(c));
  }
  return "TLS handshake failed";
}

// The subject's common name counts where there is no subjectAltName at all, as in many an old certificate.
bool TlsStream::has_its_name() const {
  X509* const certificate = SSL_get0_peer_certificate(connection_.get());
  if (certificate == nullptr) return false;
  const auto ip = IpAddress::parse(host_);
  const bool is_named = ip ? X509_check_ip(certificate, ip->bytes.data(), ip->size(), 0) == 1
                           : names_host(certificate, host_, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (is_named) return true;
  return X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) < 0 &&
         names_host(certificate, host_, ip ? X509_CHECK_FLAG_NO_WILDCARDS : 0U);
}

void TlsStream::receive(std::string_view octets) {
  // Writing into memory fails only where there is none: then the records that follow do not fit together.
  BIO_write(SSL_get_rbio(connection_.get()), octets.data(), static_cast<int>(octets.size()));
}

void TlsStream::output(std::string& to_send) {
  BIO* const out = SSL_get_wbio(connection_.get());
  char* begin = nullptr;
  const long size = BIO_get_mem_data(out, &begin);
  if (size > 0) to_send.append(begin, static_cast<std::size_t>(size));
  (void)BIO_reset(out);
}

TlsStream::Read TlsStream::read(std::span<char> into, std::size_t& size) {
  SSL* const c = connection_.get();
  while (records_without_text_ <= kMostRecordsWithoutText) {
    ERR_clear_error();
    if (SSL_read_ex(c, into.data(), into.size(), &size) == 1) return Read::kText;
    const int error = SSL_get_error(c, 0);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN) return Read::kClosed;
    if (error != SSL_ERROR_WANT_READ) break;
    if (BIO_pending(SSL_get_rbio(c)) == 0) return Read::kMore;
    ++records_without_text_;
  }
  is_broken_ = true;
  return Read::kBroke;
}

bool TlsStream::write(std::string_view text) {
  ERR_clear_error();
  std::size_t written = 0;
  if (SSL_write_ex(connection_.get(), text.data(), text.size(), &written) == 1) return true;
  ERR_clear_error();
  is_broken_ = true;
  return false;
}

void TlsStream::close() {
  if (is_broken_ || SSL_in_init(connection_.get()) != 0) return;
  ERR_clear_error();
  SSL_shutdown(connection_.get());
  ERR_clear_error();
}

}  // namespace har::probe
