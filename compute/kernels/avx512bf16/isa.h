// AVX-512 with BF16: products of pairs of BF16, which add two columns to a lane.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/avx512/isa.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::avx512bf16 {

struct Isa : avx512::Isa {
  using Bf16Pairs = __m512bh;
  LLMRUN_INLINE static Bf16Pairs LoadBf16Pairs(const std::byte* at) {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(at));
  }
  LLMRUN_INLINE static F AddBf16Pairs(F sum, Bf16Pairs w, Bf16Pairs x) {
    return _mm512_dpbf16_ps(sum, w, x);
  }
  LLMRUN_INLINE static void KeepPairs(Bf16Pairs& x) { Keep(x); }
};

}  // namespace llmrun::avx512bf16
