// AVX-512 F, BW, DQ, VL and VNNI: what it can do at most. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include "compute/kernels/avx512/ints.h"

namespace llmrun::avx512 {

struct Peak : Ints {
  static constexpr int kPeakSums = 16;
  static constexpr int kPeakDots = 1;

  template <typename T>
  LLMRUN_INLINE static void Keep(T& x) {
    asm volatile("" : LLMRUN_IN_REGISTER(x));
  }
  LLMRUN_INLINE static void KeepPairs(Bf16Pairs& x) {
    Keep(x.even);
    Keep(x.odd);
  }
  LLMRUN_INLINE static void PeakDots(B w, B x, I& sum) {
    sum = AddDot<0>(sum, w, x);
    Keep(sum);
  }
};

}  // namespace llmrun::avx512
