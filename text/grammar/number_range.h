// Ranges of JSON numbers with fractions, as an expression of GBNF.
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"

namespace llmrun {

struct NumberBound {
  double value = 0;
  bool open = false;  // the value itself is outside
};

// Numbers between the bounds, written without exponent; zero is not written with a sign. Absent:
// none (but for the 18 digits that all numbers have at most in front of their point).
// Requires: something lies between, and bounds within kMaxNumberBound of 0. Failure: kUsage for a
// bound with more than kMaxBoundDigits behind its point.
inline constexpr double kMaxNumberBound = 1e15;
inline constexpr int kMaxBoundDigits = 30;
Result<std::string> NumberRange(const std::optional<NumberBound>& least,
                                const std::optional<NumberBound>& most);

}  // namespace llmrun
