// U+2581, which SentencePiece and WordPiece vocabularies write for the space between words.
// Threads: no state.
#pragma once

#include <string>
#include <string_view>

namespace llmrun {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

void MarkSpaces(std::string* text);    // every space becomes a mark
void UnmarkSpaces(std::string* text);  // the reverse

}  // namespace llmrun
