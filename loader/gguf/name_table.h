// Finds names that are stored elsewhere: a hash table of ids with 8 bytes a slot, because a second
// copy of a million keys would cost more than the keys (std::unordered_map costs 60 bytes and more
// each). Open addressing with linear probing.
//
// Threads: Thread-compatible; Find() on a table that no longer changes is Thread-safe.
// The hash is seeded per process, so that a file cannot be made whose names all collide.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace llmrun {

class NameTable {
 public:
  // Makes room for that many names at once.
  void Reserve(size_t names);

  // Adds `name` as `id` unless the name is there. `name_of(id)` gives the name of an id that was
  // added. False when it is there. Requires: id < 2^32 - 1.
  template <typename NameOf>
  bool Insert(std::string_view name, uint32_t id, const NameOf& name_of) {
    if (4 * (used_ + 1) > 3 * slots_.size()) Reserve(2 * used_ + 8);
    const uint32_t hash = HashOf(name);
    Slot& slot = slots_[Probe(name, hash, name_of)];
    if (slot.id != kEmpty) return false;
    slot = {hash, id};
    ++used_;
    return true;
  }

  template <typename NameOf>
  std::optional<uint32_t> Find(std::string_view name, const NameOf& name_of) const {
    if (slots_.empty()) return std::nullopt;
    const Slot& slot = slots_[Probe(name, HashOf(name), name_of)];
    if (slot.id == kEmpty) return std::nullopt;
    return slot.id;
  }

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;
  struct Slot {
    uint32_t hash = 0;
    uint32_t id = kEmpty;
  };
  static uint32_t HashOf(std::string_view name);

  // The slot that holds `name`, or the empty one where it belongs.
  template <typename NameOf>
  size_t Probe(std::string_view name, uint32_t hash, const NameOf& name_of) const {
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].id != kEmpty &&
           !(slots_[at].hash == hash && std::string_view(name_of(slots_[at].id)) == name)) {
      at = (at + 1) & mask;
    }
    return at;
  }

  std::vector<Slot> slots_;  // a power of two of them, or none
  size_t used_ = 0;
};

}  // namespace llmrun
