// UTF-8 as it comes: valid characters, and bytes that belong to none.
// Threads: no state. Source: RFC 3629, as utf8proc checks it (no surrogates, no overlong forms).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmrun {

struct Utf8Unit {
  int32_t codepoint;  // -1: the byte is not part of a valid character
  size_t bytes;       // 1 to 4; 1 when invalid
};

// The character or stray byte at `pos`. Requires: pos < text.size().
Utf8Unit Utf8At(std::string_view text, size_t pos);

void AppendUtf8(int32_t codepoint, std::string* out);  // Requires: a valid code point

// How many bytes at the end of `text` are the beginning of a character whose rest is missing (0-3).
size_t IncompleteUtf8Tail(std::string_view text);

}  // namespace llmrun
