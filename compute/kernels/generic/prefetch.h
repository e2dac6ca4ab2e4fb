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

// kBytes that will be worked on later, in kSteps parts, one at each step of what is worked on now.
// So they come in ascending order and evenly: compilers would gather all prefetches of unrolled
// steps in one place, memory be idle between, and processors not see how the stream goes on (half
// the speed of Q6_K).
template <int kBytes, int kSteps>
class StreamAhead {
 public:
  LLMRUN_INLINE explicit StreamAhead(const std::byte* at) : at_(at) {}

  LLMRUN_INLINE void Step() {
    asm volatile("");  // nothing is moved across it
    const int end = (step_ + 1) * kLines / kSteps;
    LLMRUN_UNROLL for (int line = step_ * kLines / kSteps; line < end; ++line) {
      __builtin_prefetch(at_ + line * 64);
    }
    ++step_;
  }

 private:
  static constexpr int kLines = (kBytes + 63) / 64;
  const std::byte* at_;
  int step_ = 0;
};

}  // namespace llmrun::generic
