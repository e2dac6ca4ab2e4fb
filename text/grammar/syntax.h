// A grammar as it is written: rules of nodes, before anything is compiled (compiler.h).
// Threads: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/grammar/codepoint_ranges.h"

namespace llmrun {

inline constexpr uint32_t kNoLimit = 0xFFFFFFFF;  // of repetitions

struct GrammarNode {
  enum class Kind : uint8_t { kLiteral, kSet, kRule, kSequence, kAlternatives, kRepeat };
  Kind kind = Kind::kSequence;
  std::string literal = {};                 // kLiteral: bytes
  std::vector<CodepointRange> ranges = {};  // kSet: sorted, apart from each other
  std::vector<uint32_t> children = {};      // nodes; of kRepeat the one that is repeated
  uint32_t rule = 0;                        // kRule: index of GrammarSyntax::rules
  uint32_t least = 0;                       // kRepeat
  uint32_t most = 0;                        // kRepeat; kNoLimit: any number
};

struct GrammarRule {
  std::string name;
  uint32_t node = 0;
};

struct GrammarSyntax {
  std::vector<GrammarNode> nodes;
  std::vector<GrammarRule> rules;
  uint32_t root = 0;  // index of rules
};

// Limits on what a grammar may ask for.
inline constexpr size_t kMaxGrammarBytes = size_t{16} << 20;
inline constexpr int kMaxGrammarDepth = 256;             // parentheses inside each other
inline constexpr uint32_t kMaxGrammarRepeats = 100'000;  // in {m,n}
inline constexpr size_t kMaxGrammarNodes = size_t{1} << 20;

// Reads GBNF: rules `name ::= ...` of "literals", [classes], [^classes], the dot, names, (groups),
// | and the repetitions * + ? {m} {m,} {m,n}; comments from # to the end of the line. The text is
// accepted from the rule `root` on.
// Failure: kUsage with line and column; kResource over a limit.
Result<GrammarSyntax> ParseGbnf(std::string_view text);

}  // namespace llmrun
