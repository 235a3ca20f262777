// One libcurl multi handle on our event loop. Only http_probe.cc uses it; no other folder names libcurl.
// Thread: the control thread.  Tested by: http_probe_test.cc
#pragma once

#include <curl/curl.h>

#include <functional>
#include <memory>
#include <unordered_map>

#include "net/loop.h"

namespace har::probe {

class CurlMulti {
 public:
  // The transfer has ended and the handle is out of the multi. Never called from inside add() or remove(), nor from
  // inside one of libcurl's callbacks: anything may be done in it.
  using Finished = std::function<void(CURL* easy, CURLcode result)>;

  CurlMulti(net::Loop& loop, Finished finished);
  ~CurlMulti();  // requires: no transfer is left
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;

  bool add(CURL* easy);
  void remove(CURL* easy);  // closes its connection
  std::size_t size() const { return size_; }

 private:
  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* socket_data);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  void act(curl_socket_t socket, int what);

  net::Loop& loop_;
  Finished finished_;
  CURLM* multi_;
  std::size_t size_ = 0;
  std::unordered_map<curl_socket_t, std::unique_ptr<net::Watch>> watches_;
  net::Timer timer_;
};

}  // namespace har::probe
