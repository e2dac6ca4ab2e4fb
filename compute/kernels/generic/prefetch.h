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
};

// They come evenly over many small steps of what is worked on now: of a burst, processors have only
// the first twenty or so under way and wait for these. As many at each step, so that its branches
// can be foreseen: a wrong guess costs what is under way in products.
class StepsAhead {
 public:
  // As many steps as there will be.
  LLMRUN_INLINE StepsAhead(const WeightsAhead& weights, int64_t steps)
      : piece_(weights.first),
        stride_(weights.stride),
        piece_lines_((weights.bytes + kLineBytes - 1) / kLineBytes),
        left_(piece_lines_ * weights.pieces),
        of_step_((left_ + steps - 1) / steps) {}

  LLMRUN_INLINE void Step() {
    if (left_ < of_step_) return;  // the last few are left out
    left_ -= of_step_;
    for (int64_t i = 0; i < of_step_; ++i) {
      __builtin_prefetch(piece_ + line_ * kLineBytes);
      if (++line_ < piece_lines_) continue;
      line_ = 0;
      piece_ += stride_;
    }
  }

 private:
  static constexpr int64_t kLineBytes = 64;
  const std::byte* piece_;
  const int64_t stride_;
  const int64_t piece_lines_;
  int64_t left_;  // lines
  const int64_t of_step_;
  int64_t line_ = 0;  // of the piece
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
