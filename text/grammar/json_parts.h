// Pieces of grammar for strings and numbers of JSON.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmrun {

// Rules that schemas use by name: value, object, array, pair, string, char, number, integer,
// boolean, null, space.
std::string_view JsonRules();

// Text as a GBNF literal.
std::string GbnfLiteral(std::string_view text);

// "{m,n}" for what is repeated at least `least` and at most `most` times (absent: any number).
std::string GbnfRepeat(uint64_t least, std::optional<uint64_t> most);

// Whole numbers in [least, most] as JSON writes them. Requires: least <= most, and both within
// kMaxJsonInteger of 0.
inline constexpr int64_t kMaxJsonInteger = 999'999'999'999'999'999;
std::string IntegerRange(int64_t least, int64_t most);

// A JSON string, quotes included, whose content a regular expression describes from ^ to $.
// Failure: kUsage for what is not understood.
Result<std::string> PatternString(std::string_view pattern);

// A JSON string of a format; nothing for one that is not known.
std::optional<std::string> FormatString(std::string_view format);

// A JSON string that is none of the names. Requires: names in the order of their bytes.
std::string OtherNames(std::span<const std::string> names);

}  // namespace llmrun
