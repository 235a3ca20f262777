// A value that many hold and nobody changes: two words. The configuration has tens of thousands of checks that are much
// alike; copies of what they have in common would be most of the checker's memory.
// Thread: any.  Tested by: check_pool_test.cc
#pragma once

#include <memory>
#include <utility>

namespace har::config {

template <class T>
class Shared {
 public:
  Shared() : value_(standard()) {}
  Shared(T value) : value_(std::make_shared<const T>(std::move(value))) {}
  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }
  operator const T&() const { return *value_; }
  bool operator==(const Shared& other) const { return value_ == other.value_ || *value_ == *other.value_; }
  bool is_same_object(const Shared& other) const { return value_ == other.value_; }
  // A copy of its own from here on, to be changed before anybody else holds it.
  T& edit() {
    auto own = std::make_shared<T>(*value_);
    value_ = own;
    return *own;
  }

 private:
  static const std::shared_ptr<const T>& standard() {
    static const auto value = std::make_shared<const T>();
    return value;
  }
  std::shared_ptr<const T> value_;
};

}  // namespace har::config
