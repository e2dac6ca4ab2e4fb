// AVX-512 F, BW, DQ, VL and VNNI: what is in a register. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/unroll.h"

// The constraint of asm for a value in a register. Where registers of 512 bits are emulated
// (tests/emulated), it stays in memory.
#ifdef LLMRUN_EMULATED_ISA
#define LLMRUN_IN_REGISTER "+m"
#else
#define LLMRUN_IN_REGISTER "+v"
#endif

namespace llmrun::avx512 {

struct Vectors {
  using F = __m512;
  using I = __m512i;
  using B = __m512i;
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
  LLMRUN_INLINE static __m128i Load16(const void* at) {
    return _mm_loadu_si128(static_cast<const __m128i_u*>(at));
  }
  LLMRUN_INLINE static __m256i Load32(const void* at) {
    return _mm256_loadu_si256(static_cast<const __m256i_u*>(at));
  }
};

}  // namespace llmrun::avx512
