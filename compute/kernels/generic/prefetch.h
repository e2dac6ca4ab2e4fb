// What will be read soon, brought into the caches beside something else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// Pieces of memory, at the same distance from each other. None: the default.
struct WeightsAhead {
  const std::byte* first = nullptr;
  int64_t stride = 0;
  int64_t pieces = 0;
  int64_t bytes = 0;  // of a piece

  // The i-th of n parts of them. Inline: GCC takes a call that does nothing but this for one
  // without effect, and leaves it out.
  LLMRUN_INLINE void Prefetch(int64_t i, int64_t n) const {
    const int64_t lines = (bytes + kLineBytes - 1) / kLineBytes;
    const int64_t all = lines * pieces;
    if (all <= 0) return;
    const int64_t end = all * (i + 1) / n;
    int64_t line = all * i / n;
    const std::byte* piece = first + line / lines * stride;
    int64_t at = line % lines;
    for (; line < end; ++line) {
      __builtin_prefetch(piece + at * kLineBytes);
      if (++at < lines) continue;
      at = 0;
      piece += stride;
    }
  }

 private:
  static constexpr int64_t kLineBytes = 64;
};

}  // namespace llmrun::generic
