// The pre-tokenizers by name. The expressions are those that each model family published with its
// tokenizer (tokenizer.json), under the names that GGUF files carry in tokenizer.ggml.pre.
// Threads: constant data.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace llmrun {

struct PreTokenizerRule {
  std::span<const std::string_view> names;
  std::span<const std::string_view> patterns;  // applied in this order
  bool ignore_merges = false;  // a piece that is a token is taken whole, whatever the merges say
  bool add_bos = false;        // when the file does not say
};

// nullptr when unknown. An empty name is "default".
const PreTokenizerRule* FindPreTokenizerRule(std::string_view name);
// Every name, separated by ", ".
std::string KnownPreTokenizers();
std::span<const PreTokenizerRule> AllPreTokenizerRules();

}  // namespace llmrun
