// Sixteen lanes end as eight: what AVX2 and AVX-512 do with these. Only for files compiled with
// AVX2.
#pragma once

#include <immintrin.h>

#include "compute/kernels/generic/unroll.h"

namespace llmrun {

struct EightFloats {
  LLMRUN_INLINE static float Sum(__m256 x) {
    __m128 four = FourSums(x);
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four))) + 0.0F;
  }
  // The sums of a, b, c, d.
  LLMRUN_INLINE static void StoreSums(float* at, __m256 a, __m256 b, __m256 c, __m256 d) {
    const __m128 first = AddHalves(FourSums(a), FourSums(b));
    const __m128 last = AddHalves(FourSums(c), FourSums(d));
    const __m128 sums = _mm_add_ps(_mm_movelh_ps(first, last), _mm_movehl_ps(last, first));
    _mm_storeu_ps(at, _mm_add_ps(sums, _mm_setzero_ps()));
  }
  LLMRUN_INLINE static float Max(__m256 x) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  }

 private:
  LLMRUN_INLINE static __m128 FourSums(__m256 x) {
    return _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  }
  // a0 + a2, b0 + b2, a1 + a3, b1 + b3.
  LLMRUN_INLINE static __m128 AddHalves(__m128 a, __m128 b) {
    return _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
  }
};

}  // namespace llmrun
