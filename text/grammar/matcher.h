// Follows a grammar byte by byte: all ways in which what came so far can be read, at once. A way is
// a state and the rules that wait for its return; their stacks share what they have in common.
//
// Source: the graph-structured stack of Tomita 1987. Threads: Thread-compatible.
// Failure: Start() and Advance() return false when a limit is hit (kMaxWays, kMaxStackNodes).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/grammar/grammar.h"

namespace llmrun {

class GrammarMatcher {
 public:
  static constexpr size_t kMaxWays = 4096;                   // at one position
  static constexpr size_t kMaxStackNodes = size_t{1} << 22;  // between two calls of Compact()

  struct Way {
    uint32_t state;  // of the kind kBytes
    uint32_t stack;
    bool operator==(const Way&) const = default;
  };
  struct Position {
    std::vector<Way> ways;  // which bytes may come
    bool complete = false;  // what came is a whole text of the grammar
    bool operator==(const Position&) const = default;
  };

  explicit GrammarMatcher(std::shared_ptr<const Grammar> grammar);

  [[nodiscard]] bool Start(Position* position);
  // Without ways and not complete: the byte may not come.
  [[nodiscard]] bool Advance(const Position& from, uint8_t byte, Position* to);

  size_t stack_nodes() const { return stacks_.size(); }
  // Forgets all stacks but those of these positions, whose numbers change.
  void Compact(std::span<Position> positions);

 private:
  struct Stack {
    uint32_t back;  // the state to go on at
    uint32_t below;
  };
  uint32_t Push(uint32_t back, uint32_t below);
  bool Close(Position* position);  // follows what takes no byte, from work_
  bool FirstTime(uint64_t key);

  std::shared_ptr<const Grammar> grammar_;
  std::vector<Stack> stacks_;  // 0: the empty one
  std::unordered_map<uint64_t, uint32_t> numbers_;
  std::vector<Way> work_;
  void GrowSeen();

  // What Close() has seen: a table that is emptied by counting rounds, and kept half empty.
  std::vector<uint64_t> seen_;
  std::vector<uint32_t> seen_round_;
  uint32_t round_ = 0;
  size_t seen_count_ = 0;
};

}  // namespace llmrun
