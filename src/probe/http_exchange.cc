#include "probe/http_exchange.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace har::probe {

namespace {

constexpr std::size_t kPiece = 16 * 1024;

}  // namespace

HttpExchange::HttpExchange(net::Fd socket, std::string request, const config::Check& check,
                           std::optional<TlsStream> tls)
    : socket_(std::move(socket)),
      tls_(std::move(tls)),
      wire_(HttpReading(check.http->expect_status, check.http->expect_body)) {
  if (!tls_) {
    to_send_ = std::move(request);
    return;
  }
  request_ = std::move(request);
  understand({});  // the first words are ours
}

net::Watch::Interest HttpExchange::go_on() {
  if (sent_ < to_send_.size() || wire_.verdict()) return send_on();
  // One piece a turn: who sends without end gets no more than his share.
  std::array<char, kPiece> piece;
  const ssize_t n = recv(socket_.get(), piece.data(), piece.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return net::Watch::kRead;
  if (n > 0) {
    understand({piece.data(), static_cast<std::size_t>(n)});
  } else if (n == 0 && is_secured()) {
    wire_.closed();  // many servers leave out TLS's own word for that
  } else {
    broke();
  }
  return send_on();
}

net::Watch::Interest HttpExchange::send_on() {
  if (sent_ < to_send_.size()) {
    const ssize_t n = send(socket_.get(), to_send_.data() + sent_, to_send_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) broke();
    if (n > 0) sent_ += static_cast<std::size_t>(n);
    if (sent_ == to_send_.size()) {
      to_send_.clear();
      sent_ = 0;
    }
  }
  if (wire_.verdict()) return net::Watch::kNone;
  return to_send_.empty() ? net::Watch::kRead : net::Watch::kWrite;
}

void HttpExchange::understand(std::string_view octets) {
  if (!tls_) return wire_.feed(octets);
  if (!octets.empty()) tls_->receive(octets);
  if (tls_->is_secured()) {
    decrypt();
  } else if (const auto failure = tls_->shake_hands()) {
    wire_.broke(*failure);
  } else if (tls_->is_secured()) {
    if (!tls_->write(request_)) return broke();
    decrypt();
  }
  tls_->output(to_send_);
}

void HttpExchange::decrypt() {
  std::array<char, kPiece> text;
  while (!wire_.verdict()) {
    std::size_t size = 0;
    switch (tls_->read(text, size)) {
      case TlsStream::Read::kText:
        wire_.feed({text.data(), size});
        break;
      case TlsStream::Read::kMore:
        return;
      case TlsStream::Read::kClosed:
        return wire_.closed();
      case TlsStream::Read::kBroke:
        return broke();
    }
  }
}

void HttpExchange::broke() { wire_.broke(is_secured() ? "connection broke" : "TLS handshake failed"); }

net::Fd HttpExchange::end() {
  if (tls_) {
    tls_->close();
    tls_->output(to_send_);
    send_on();
  }
  return std::move(socket_);
}

}  // namespace har::probe
