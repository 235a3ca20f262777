// For the tests of the table and of what stands on it: aligned memory, names, contents that can be told apart.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dns/name.h"
#include "table/reader.h"
#include "table/writer.h"

namespace har::table::testing {

class Memory {
 public:
  explicit Memory(std::size_t size) : size_(size), lines_((size + 63) / 64) {}
  std::span<std::byte> bytes() { return {reinterpret_cast<std::byte*>(lines_.data()), size_}; }
  std::span<const std::byte> bytes() const { return {reinterpret_cast<const std::byte*>(lines_.data()), size_}; }

 private:
  struct alignas(64) Line {
    std::byte octets[64];
  };
  std::size_t size_;
  std::vector<Line> lines_;
};

inline std::vector<std::uint8_t> wire(std::string_view text) { return dns::name_to_wire(text).value(); }

inline Plan plan_of(std::initializer_list<std::string_view> names) {
  Plan plan;
  for (const auto name : names) plan.names.push_back({wire(name), false});
  return plan;
}

// A table in memory of its own.
struct Table {
  explicit Table(const Plan& plan)
      : memory(Writer::bytes_needed(plan)),
        writer(Writer::create(memory.bytes(), plan)),
        reader(Reader::open(memory.bytes()).value()) {}

  Memory memory;
  Writer writer;
  Reader reader;
};

inline IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }

// Addresses in the order given, all of one group.
inline FamilyAnswer answer_of(std::initializer_list<std::string_view> addresses, Order order = Order::kFirst,
                              std::uint8_t answer_count = 8) {
  FamilyAnswer answer;
  answer.kind = Kind::kAddresses;
  answer.order = order;
  answer.answer_count = answer_count;
  for (const auto text : addresses) answer.addresses.at(answer.count++) = address(text).bytes;
  answer.group = answer.count;
  return answer;
}

inline FamilyAnswer only(Kind kind) {
  FamilyAnswer answer;
  answer.kind = kind;
  return answer;
}

// Content number n: every word of it follows from n, so that a mixture of two is seen.
inline SlotContent content_number(std::uint32_t n) {
  SlotContent content;
  content.ttl = n;
  content.note = static_cast<Note>(n % 3);
  for (auto* family : {&content.v4, &content.v6}) {
    const bool v4 = family == &content.v4;
    family->kind = Kind::kAddresses;
    family->order = static_cast<Order>(n % 4);
    family->count = static_cast<std::uint8_t>((v4 ? n : n / 2) % (kMaxAddresses + 1));
    family->group = static_cast<std::uint8_t>(n % (family->count + 1u));
    family->answer_count = static_cast<std::uint8_t>(1 + n % 8);
    for (std::size_t i = 0; i < family->count; ++i) {
      for (std::size_t octet = 0; octet < (v4 ? 4u : 16u); ++octet) {
        family->addresses[i][octet] = static_cast<std::uint8_t>((n >> (octet % 4 * 8)) + i);
      }
      if (family->order == Order::kWeighted) family->weights[i] = static_cast<std::uint16_t>(n * 31 + i);
    }
  }
  return content;
}

// Whether a view is that family of that content, in everything that a view promises.
inline bool shows(const Reader::View& view, const SlotContent& content, Family family) {
  const FamilyAnswer& want = family == Family::kV4 ? content.v4 : content.v6;
  const FamilyAnswer& have = view.answer;
  if (view.ttl != content.ttl || view.note != content.note) return false;
  if (have.kind != want.kind || have.order != want.order || have.count != want.count || have.group != want.group ||
      have.answer_count != want.answer_count) {
    return false;
  }
  for (std::size_t i = 0; i < want.count; ++i) {
    const std::size_t size = family == Family::kV4 ? 4 : 16;
    if (!std::equal(want.addresses[i].begin(), want.addresses[i].begin() + static_cast<std::ptrdiff_t>(size),
                    have.addresses[i].begin())) {
      return false;
    }
    if (want.order == Order::kWeighted && have.weights[i] != want.weights[i]) return false;
  }
  return true;
}

}  // namespace har::table::testing
