#include "probe/curl_multi.h"

#include <chrono>
#include <utility>

#include "base/assert.h"

namespace har::probe {

CurlMulti::CurlMulti(net::Loop& loop, Finished finished)
    : loop_(loop),
      finished_(std::move(finished)),
      multi_(curl_multi_init()),
      timer_(loop, [this] { act(CURL_SOCKET_TIMEOUT, 0); }) {
  HAR_ASSERT(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
}

CurlMulti::~CurlMulti() { curl_multi_cleanup(multi_); }

bool CurlMulti::add(CURL* easy) {
  if (curl_multi_add_handle(multi_, easy) != CURLM_OK) return false;
  ++size_;
  return true;
}

void CurlMulti::remove(CURL* easy) {
  const CURLMcode code = curl_multi_remove_handle(multi_, easy);
  HAR_ASSERT(code == CURLM_OK);
  --size_;
}

int CurlMulti::on_timer(CURLM*, long timeout_ms, void* self) {
  net::Timer& timer = static_cast<CurlMulti*>(self)->timer_;
  // Zero means the next turn of the loop: libcurl must not be called from inside its own callback.
  if (timeout_ms < 0)
    timer.cancel();
  else
    timer.set(std::chrono::milliseconds(timeout_ms));
  return 0;
}

int CurlMulti::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
  auto& me = *static_cast<CurlMulti*>(self);
  if (what == CURL_POLL_REMOVE) {
    me.watches_.erase(socket);
    return 0;
  }
  const auto interest = static_cast<net::Watch::Interest>(((what & CURL_POLL_IN) != 0 ? net::Watch::kRead : 0) |
                                                          ((what & CURL_POLL_OUT) != 0 ? net::Watch::kWrite : 0));
  auto& watch = me.watches_[socket];
  if (watch) {
    watch->set_interest(interest);
    return 0;
  }
  watch = std::make_unique<net::Watch>(me.loop_, socket, interest, [&me, socket](net::Watch::Interest ready) {
    me.act(socket, ((ready & net::Watch::kRead) != 0 ? CURL_CSELECT_IN : 0) |
                       ((ready & net::Watch::kWrite) != 0 ? CURL_CSELECT_OUT : 0));
  });
  return 0;
}

void CurlMulti::act(curl_socket_t socket, int what) {
  int running = 0;
  curl_multi_socket_action(multi_, socket, what, &running);
  // One message at a time: finished_ may remove other transfers, and with them their messages.
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const CURLcode result = message->data.result;
    remove(easy);
    finished_(easy, result);
  }
}

}  // namespace har::probe
