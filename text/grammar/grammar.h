// A grammar, compiled: an automaton over bytes with calls of rules. Sets of characters are small
// automata over their UTF-8, so that a token may end inside a character.
//
// Source: Thompson 1968 (the automaton), Woods 1970 (with calls); the cut of ranges into sequences
// of bytes as in UTF-8 regular expression engines. Threads: immutable; Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmrun {

struct GrammarEdge {
  uint8_t first;  // bytes, both included
  uint8_t last;
  uint32_t target;  // a state
};

struct GrammarState {
  enum class Kind : uint8_t {
    kBytes,   // one of edges[a, b) takes the next byte
    kSplit,   // goes on at a, or at b
    kCall,    // through rule a, then goes on at b
    kReturn,  // the end of a rule
  };
  Kind kind = Kind::kReturn;
  uint32_t a = 0;
  uint32_t b = 0;
};

struct Grammar {
  std::vector<GrammarState> states;
  std::vector<GrammarEdge> edges;
  std::vector<uint32_t> starts;  // [rule]: its first state
  uint32_t root = 0;             // a rule
};

inline constexpr size_t kMaxGrammarStates = size_t{1} << 21;

// Failure: as ParseGbnf(); kUsage for a rule that calls itself before it took a byte (left
// recursion), by name; kResource for more than kMaxGrammarStates.
Result<Grammar> CompileGrammar(std::string_view gbnf);

}  // namespace llmrun
