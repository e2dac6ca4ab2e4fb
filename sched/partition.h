// Static division of work: who does which part follows from the counts alone, so results do not
// depend on timing.
#pragma once

#include <algorithm>
#include <cstdint>

namespace llmrun {

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  bool empty() const { return end <= begin; }
  bool operator==(const Range&) const = default;
};

// Part `index` of [0, n) in `parts` contiguous parts whose inner borders are multiples of `unit`.
// Sizes differ by at most one unit. Requires: parts >= 1, 0 <= index < parts, unit >= 1.
inline Range StaticRange(int64_t n, int parts, int index, int64_t unit = 1) {
  const int64_t units = (n + unit - 1) / unit;
  const int64_t begin = units * index / parts * unit;
  const int64_t end = units * (index + 1) / parts * unit;
  return {std::min(begin, n), std::min(end, n)};
}

}  // namespace llmrun
