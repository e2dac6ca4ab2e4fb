// AVX2, FMA and F16C: half the lanes, eight floats: those of tiles of float products
// (generic/float_matmul.h), and what all lanes are made of. Include only from files of this folder.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "compute/kernels/avx2/vectors.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::avx2 {

struct HalfFloats {
  using F = __m256;
  LLMRUN_INLINE static F Zero() { return _mm256_setzero_ps(); }
  LLMRUN_INLINE static F Load(const float* at) { return _mm256_loadu_ps(at); }
  LLMRUN_INLINE static F LoadF32(const std::byte* at) {
    return _mm256_castsi256_ps(Vectors::Load32(at));
  }
  LLMRUN_INLINE static F LoadF16(const std::byte* at) {
    return _mm256_cvtph_ps(Vectors::Load16(at));
  }
  LLMRUN_INLINE static void Store(float* at, F x) { _mm256_storeu_ps(at, x); }
  LLMRUN_INLINE static F Fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  struct Bf16Pairs {
    F even, odd;
  };
  LLMRUN_INLINE static Bf16Pairs LoadBf16Pairs(const std::byte* at) {
    const __m256i x = Vectors::Load32(at);
    const __m256i odd = _mm256_set1_epi32(static_cast<int>(0xFFFF0000U));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(x, odd))};
  }
  LLMRUN_INLINE static F AddBf16Pairs(F sum, const Bf16Pairs& w, const Bf16Pairs& x) {
    return Fma(w.even, x.even, Fma(w.odd, x.odd, sum));
  }
};

}  // namespace llmrun::avx2
