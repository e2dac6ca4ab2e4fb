// Upper and lower case of whole texts, character by character.
// Threads: pure functions. Source: the simple case mappings of Unicode, from utf8proc.
#pragma once

#include <string>
#include <string_view>

namespace llmrun::jinja {

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string Capitalize(std::string_view text);  // the first character upper, the rest lower
std::string Title(std::string_view text);       // each run of letters capitalized
bool IsUpper(std::string_view text);            // no lower case letter, and at least one upper
bool IsLower(std::string_view text);
bool IsLetter(std::string_view character);

}  // namespace llmrun::jinja
