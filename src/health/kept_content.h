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
  explicit KeptContent(const table::SlotContent& content) { set(content); }

  // Uses its memory again; a copy has no more than it needs.
  void set(const table::SlotContent& content) {
    const bool is_weighted = content.v4.order == table::Order::kWeighted || content.v6.order == table::Order::kWeighted;
    const std::size_t size = content.v6.count > 0 ? table::kV6Word + 2 * std::size_t{content.v6.count}
                             : is_weighted        ? table::kV6Word
                                                  : table::kV4Word + (std::size_t{content.v4.count} + 1) / 2;
    words_.assign(size, 0);
    table::encode_slot(content, [this](std::size_t i, std::uint64_t word) { words_[i] = word; });
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
  std::vector<std::uint64_t> words_;  // by the numbers of table/slot.h, as far as this content has any
};

}  // namespace har::health
