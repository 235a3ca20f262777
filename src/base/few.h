// A list that nearly always has one element, which then needs no memory of its own; several stand in a vector.
// Pointers into it hold until the next change. Tested by: few_test.cc
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

namespace har {

template <class T>
class Few {
 public:
  T* begin() { return const_cast<T*>(std::as_const(*this).begin()); }
  T* end() { return const_cast<T*>(std::as_const(*this).end()); }
  const T* begin() const {
    if (const auto* many = std::get_if<Many>(&elements_)) return (*many)->data();
    return std::get_if<T>(&elements_);
  }
  const T* end() const {
    if (const auto* many = std::get_if<Many>(&elements_)) return (*many)->data() + (*many)->size();
    const T* const one = std::get_if<T>(&elements_);
    return one == nullptr ? nullptr : one + 1;
  }
  std::size_t size() const { return static_cast<std::size_t>(end() - begin()); }
  bool empty() const { return begin() == end(); }

  // Requires: `before` is a place in this list, or its end.
  void insert(const T* before, T value) {
    if (empty()) {
      elements_.template emplace<T>(std::move(value));
      return;
    }
    const auto at = before - begin();
    if (T* const one = std::get_if<T>(&elements_)) {
      auto many = std::make_unique<std::vector<T>>();
      many->push_back(std::move(*one));
      elements_ = std::move(many);
    }
    auto& many = *std::get<Many>(elements_);
    many.insert(many.begin() + at, std::move(value));
  }
  void push_back(T value) { insert(end(), std::move(value)); }
  // Requires: `element` is one of this list.
  void erase(const T* element) {
    const auto at = element - begin();
    auto* const many = std::get_if<Many>(&elements_);
    if (many == nullptr || (*many)->size() == 1) return clear();
    (*many)->erase((*many)->begin() + at);
  }
  void clear() { elements_.template emplace<std::monostate>(); }

 private:
  using Many = std::unique_ptr<std::vector<T>>;
  std::variant<std::monostate, T, Many> elements_;
};

}  // namespace har
