// AVX2, FMA and F16C: what it can do at most. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include "compute/kernels/avx2/lookup.h"

namespace llmrun::avx2 {

struct Peak : Lookup {
  static constexpr int kPeakSums = 5;
  static constexpr int kPeakDots = 8;

  LLMRUN_INLINE static void Keep(__m256i& x) { asm volatile("" : "+x"(x)); }
  template <typename T>
  LLMRUN_INLINE static void Keep(T& x) {
    asm volatile("" : "+x"(x.low), "+x"(x.high));
  }
  LLMRUN_INLINE static void KeepPairs(Bf16Pairs& x) {
    Keep(x.even);
    Keep(x.odd);
  }
  // No kernel does with fewer multiplications: eight products may be added in 16 bits before they
  // are widened. Additions are left out, as they need not take the multipliers' time.
  LLMRUN_INLINE static void PeakDots(B& w, B& x, I& /*sum*/) {
    __m256i low, high;
    LLMRUN_UNROLL for (int i = 0; i < kPeakDots; ++i) {
      Keep(w);
      low = _mm256_maddubs_epi16(w.low, x.low);
      high = _mm256_maddubs_epi16(w.high, x.high);
      Keep(low);
      Keep(high);
    }
    low = _mm256_madd_epi16(low, _mm256_set1_epi16(1));
    high = _mm256_madd_epi16(high, _mm256_set1_epi16(1));
    Keep(low);
    Keep(high);
  }
};

}  // namespace llmrun::avx2
