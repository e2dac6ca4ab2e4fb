// Sets of code points as ranges.
// Threads: pure functions.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

namespace llmrun {

inline constexpr uint32_t kLastCodepoint = 0x10FFFF;

// Both ends included.
struct CodepointRange {
  uint32_t first;
  uint32_t last;
  bool operator==(const CodepointRange&) const = default;
  auto operator<=>(const CodepointRange&) const = default;
};

// Sorted, and joined where they touch: "normal".
std::vector<CodepointRange> NormalRanges(std::vector<CodepointRange> ranges);
// What is in none of them. Requires: normal.
std::vector<CodepointRange> ComplementOf(const std::vector<CodepointRange>& ranges);

}  // namespace llmrun
