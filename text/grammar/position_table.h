// Positions of a grammar by number, with which byte leads from one to the next: what was found out
// once is looked up. Inside a string, say, nearly every byte leads back to the same position.
//
// Threads: Thread-compatible; copies are on their own.
// Failure: Start() and Next() give nothing when a limit of GrammarMatcher is hit.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/grammar/matcher.h"

namespace llmrun {

class PositionTable {
 public:
  using Id = uint32_t;
  // Behind a byte that may not come: there is no way to go on, and the text is not complete.
  static constexpr Id kNowhere = 0;

  explicit PositionTable(std::shared_ptr<const Grammar> grammar);

  std::optional<Id> Start();
  std::optional<Id> Next(Id from, uint8_t byte) {
    const Id known = next_[size_t{from} * 256 + byte];
    if (known != kUnknown) return known;
    return Find(from, byte);
  }
  bool IsComplete(Id id) const { return positions_[id].complete; }
  bool MayGoOn(Id id) const { return !positions_[id].ways.empty(); }

  // Whether it is time for Keep().
  bool IsLarge() const;
  // Forgets all positions but these, whose numbers change.
  void Keep(std::span<Id> ids);

 private:
  using Position = GrammarMatcher::Position;
  static constexpr Id kUnknown = 0xFFFFFFFF;

  std::optional<Id> Find(Id from, uint8_t byte);
  Id NumberOf(const Position& position);
  void Clear();

  GrammarMatcher matcher_;
  std::vector<Position> positions_;                // [id]
  std::vector<Id> next_;                           // [id][byte]
  std::unordered_multimap<uint64_t, Id> numbers_;  // by a hash of the position
  size_t large_nodes_;                             // of stacks
};

}  // namespace llmrun
