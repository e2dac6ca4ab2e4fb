#include "text/grammar/codepoint_ranges.h"

#include <algorithm>

namespace llmrun {

std::vector<CodepointRange> NormalRanges(std::vector<CodepointRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<CodepointRange> out;
  for (const CodepointRange& range : ranges) {
    if (!out.empty() && range.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

std::vector<CodepointRange> ComplementOf(const std::vector<CodepointRange>& ranges) {
  std::vector<CodepointRange> out;
  uint32_t next = 0;
  for (const CodepointRange& range : ranges) {
    if (range.first > next) out.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodepoint) out.push_back({next, kLastCodepoint});
  return out;
}

}  // namespace llmrun
