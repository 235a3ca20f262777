// What a name's slot said last, in the words that a slot of the answer table takes: mostly a tenth of the value's size.
// Thread: any (a value).  Tested by: kept_content_test.cc
#pragma once

#include <cstdint>
#include <vector>

#include "table/slot.h"

namespace har::health {

class KeptContent {
 public:
  KeptContent() : KeptContent(table::SlotContent{}) {}
  explicit KeptContent(const table::SlotContent& content) {
    std::size_t size = 0;
    table::encode_slot(content, [&](std::size_t i, std::uint64_t word) {
      if (word != 0) size = std::max(size, i + 1);
    });
    words_.resize(size);
    table::encode_slot(content, [&](std::size_t i, std::uint64_t word) {
      if (i < size) words_[i] = word;
    });
  }

  table::SlotContent content() const {
    const auto get = [this](std::size_t i) { return i < words_.size() ? words_[i] : 0; };
    table::SlotContent content;
    content.ttl = static_cast<std::uint32_t>(get(table::kTtlWord));
    content.note = table::decode_note(get(table::kTtlWord));
    table::decode_family(Family::kV4, content.v4, get);
    table::decode_family(Family::kV6, content.v6, get);
    return content;
  }

  bool operator==(const KeptContent&) const = default;

 private:
  std::vector<std::uint64_t> words_;  // by the numbers of table/slot.h; those behind the last are zero
};

}  // namespace har::health
