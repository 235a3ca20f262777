// Whole messages with descriptors between two processes of one daemon: a SOCK_SEQPACKET pair.
// Thread: one at each end; send() from any, as long as the channel stays open.  Tested by: channel_test.cc
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/fd.h"

namespace har::net {

// At most kMaxBody octets and kMaxFds descriptors; what is larger goes into a memory file (memory.h).
struct Message {
  static constexpr std::size_t kMaxBody = 64 * 1024;
  static constexpr std::size_t kMaxFds = 200;  // the kernel's limit is 253

  std::uint32_t type = 0;
  std::string body;
  std::vector<Fd> fds;
};

class Channel {
 public:
  Channel() = default;
  explicit Channel(Fd fd) : fd_(std::move(fd)) {}
  static Result<std::pair<Channel, Fd>> make_pair();  // our end, and the other one for the child

  int fd() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  void close() { fd_.reset(); }

  // Blocks while the peer's buffer is full, at most `patience_ms`. False: the peer is gone or does not read.
  bool send(std::uint32_t type, std::string_view body = {}, const std::vector<int>& fds = {}, int patience_ms = 1000);

  enum class Status { kMessage, kNothing, kClosed };
  // Waits at most `wait_ms` (-1: for ever, 0: not at all).
  Status receive(Message& out, int wait_ms);

 private:
  Fd fd_;
};

// Fields of a body, written and read in the same order. The reader's error sticks: read on, check once.
class Packer {
 public:
  Packer& number(std::uint64_t value) {
    body_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Packer& text(std::string_view value) {
    number(value.size());
    body_.append(value);
    return *this;
  }
  const std::string& body() const { return body_; }

 private:
  std::string body_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view body) : left_(body) {}
  std::uint64_t number() {
    std::uint64_t value = 0;
    if (left_.size() < sizeof value) {
      ok_ = false;
      left_ = {};
      return 0;
    }
    std::memcpy(&value, left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return value;
  }
  std::string text() {
    const std::uint64_t size = number();
    if (size > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    std::string value(left_.substr(0, size));
    left_.remove_prefix(size);
    return value;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace har::net
