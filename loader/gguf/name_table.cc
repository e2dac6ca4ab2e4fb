#include "loader/gguf/name_table.h"

#include <xxhash.h>

#include <bit>
#include <utility>

#include "base/process_seed.h"

namespace llmrun {
uint32_t NameTable::HashOf(std::string_view name) {
  return static_cast<uint32_t>(XXH3_64bits_withSeed(name.data(), name.size(), ProcessSeed()));
}

void NameTable::Reserve(size_t names) {
  const size_t wanted = std::bit_ceil(names + names / 3 + 1);
  if (wanted <= slots_.size()) return;
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(wanted));
  const size_t mask = wanted - 1;
  for (const Slot& slot : old) {
    if (slot.id == kEmpty) continue;
    size_t at = slot.hash & mask;
    while (slots_[at].id != kEmpty) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

}  // namespace llmrun
