// Cuts the source of a template into text and the tokens of its tags.
//
// White space around tags is taken away as the chat templates of Hugging Face's transformers
// expect: with trim_blocks (the line break after a block tag), lstrip_blocks (the space before a
// block tag that begins a line), the signs - and + at either side of a tag, and without one line
// break at the end of the source.
// Source: the lexer of Jinja 3.1, by its documentation and behaviour.
//
// Threads: pure functions. Failure: kBadData with line and column.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmrun::jinja {

// Of a byte in the source, both counted from 1.
struct Position {
  uint32_t line = 1;
  uint32_t column = 1;
};

enum class TokenKind : uint8_t {
  kText,      // outside of all tags
  kPrint,     // {{
  kPrintEnd,  // }}
  kBlock,     // {%
  kBlockEnd,  // %}
  kName,      // words, also those with a meaning (if, and, true, ...)
  kString,    // with its escapes replaced
  kInteger,   // its digits in decimal
  kFloat,
  kOperator,  // also brackets, dots, commas, colons and bars
  kEndOfSource,
};

struct Token {
  TokenKind kind = TokenKind::kEndOfSource;
  std::string text;
  Position at;
};

// The last token is kEndOfSource.
Result<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace llmrun::jinja
