// Whether a grammar takes a text, for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "text/grammar/grammar.h"
#include "text/grammar/matcher.h"

namespace llmrun {

enum class Taken { kNo, kBeginning, kWhole };

inline Taken Take(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  GrammarMatcher matcher(grammar);
  GrammarMatcher::Position position;
  GrammarMatcher::Position next;
  EXPECT_TRUE(matcher.Start(&position));
  for (const char c : text) {
    EXPECT_TRUE(matcher.Advance(position, static_cast<uint8_t>(c), &next));
    std::swap(position, next);
    if (position.ways.empty() && !position.complete) return Taken::kNo;
  }
  return position.complete ? Taken::kWhole : Taken::kBeginning;
}

inline std::shared_ptr<const Grammar> MakeGrammar(std::string_view gbnf) {
  Result<Grammar> grammar = CompileGrammar(gbnf);
  if (grammar) return std::make_shared<const Grammar>(*std::move(grammar));
  ADD_FAILURE() << grammar.error().OneLine() << "\n" << gbnf;
  return nullptr;
}

}  // namespace llmrun
