// AVX2, FMA and F16C: sixteen lanes in two registers: what is in a register. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/unroll.h"

namespace llmrun::avx2 {

struct Vectors {
  struct F {
    __m256 low, high;
  };
  struct I {
    __m256i low, high;
  };
  struct B {
    __m256i low, high;
  };
  LLMRUN_INLINE static __m128i Load16(const void* at) {
    return _mm_loadu_si128(static_cast<const __m128i_u*>(at));
  }
  LLMRUN_INLINE static __m256i Load32(const void* at) {
    return _mm256_loadu_si256(static_cast<const __m256i_u*>(at));
  }
  LLMRUN_INLINE static int Word(const std::byte* at) {
    int word = 0;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
  }
  LLMRUN_INLINE static int16_t Half(const std::byte* at) {
    int16_t half = 0;
    __builtin_memcpy(&half, at, sizeof half);
    return half;
  }
  LLMRUN_INLINE static void Store16(void* at, __m128i x) {
    _mm_storeu_si128(static_cast<__m128i_u*>(at), x);
  }
};

}  // namespace llmrun::avx2
