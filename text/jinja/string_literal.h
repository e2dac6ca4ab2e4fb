// The escapes in the string literals of templates, which are those of Python.
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace llmrun::jinja {

// The text between the quotes with its escapes replaced: \n, \t, \", \xHH, \uHHHH, \UHHHHHHHH, \ooo
// and so on; unknown ones stay as they are. nullopt for half a code point or none.
std::optional<std::string> ReplaceEscapes(std::string_view text);

}  // namespace llmrun::jinja
