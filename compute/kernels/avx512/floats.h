// AVX-512 F, BW, DQ, VL and VNNI: sixteen floats. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/avx512/vectors.h"
#include "compute/kernels/eight_floats.h"

namespace llmrun::avx512 {

struct Floats : Vectors {
  LLMRUN_INLINE static F Set(float x) { return _mm512_set1_ps(x); }
  LLMRUN_INLINE static F Zero() { return _mm512_setzero_ps(); }
  LLMRUN_INLINE static F Load(const float* at) { return _mm512_loadu_ps(at); }
  LLMRUN_INLINE static F LoadF32(const std::byte* at) { return _mm512_loadu_ps(at); }
  LLMRUN_INLINE static F LoadF16(const std::byte* at) { return _mm512_cvtph_ps(Load32(at)); }
  LLMRUN_INLINE static F LoadBf16(const std::byte* at) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(Load32(at)), 16));
  }
  LLMRUN_INLINE static F SpreadF16(const std::byte* at) {
    return _mm512_cvtph_ps(_mm256_set1_epi16(Half(at)));
  }
  LLMRUN_INLINE static F LoadSigned(const std::byte* at) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(Load16(at)));
  }
  template <int kShift>
  LLMRUN_INLINE static F LoadNibbles(const std::byte* at) {
    const __m128i bits = _mm_and_si128(_mm_srli_epi16(Load16(at), kShift), _mm_set1_epi8(15));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_sub_epi8(bits, _mm_set1_epi8(8))));
  }
  LLMRUN_INLINE static void Store(float* at, F x) { _mm512_storeu_ps(at, x); }
  LLMRUN_INLINE static void StoreF16(std::byte* at, F x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(at),
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  LLMRUN_INLINE static void StoreBf16(std::byte* at, F x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7FFF)));
    const __m512i quiet = _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                                               bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(at),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(quiet, 16)));
  }
  struct Bf16Pairs {
    F even, odd;
  };
  LLMRUN_INLINE static Bf16Pairs LoadBf16Pairs(const std::byte* at) {
    const __m512i both = _mm512_loadu_si512(at);
    const __m512i odd = _mm512_set1_epi32(static_cast<int>(0xFFFF0000U));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(both, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(both, odd))};
  }
  LLMRUN_INLINE static F AddBf16Pairs(F sum, const Bf16Pairs& w, const Bf16Pairs& x) {
    return Fma(w.even, x.even, Fma(w.odd, x.odd, sum));
  }

  LLMRUN_INLINE static F Add(F a, F b) { return _mm512_add_ps(a, b); }
  LLMRUN_INLINE static F Sub(F a, F b) { return _mm512_sub_ps(a, b); }
  LLMRUN_INLINE static F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
  LLMRUN_INLINE static F Div(F a, F b) { return _mm512_div_ps(a, b); }
  LLMRUN_INLINE static F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  LLMRUN_INLINE static F Min(F a, F b) { return _mm512_min_ps(a, b); }
  LLMRUN_INLINE static F Max(F a, F b) { return _mm512_max_ps(a, b); }
  LLMRUN_INLINE static float ReduceAdd(F x) { return EightFloats::Sum(AddParts(x)); }
  LLMRUN_INLINE static void StoreReduced(float* at, F a, F b, F c, F d) {
    EightFloats::StoreSums(at, AddParts(a), AddParts(b), AddParts(c), AddParts(d));
  }
  LLMRUN_INLINE static float ReduceMax(F x) {
    return EightFloats::Max(_mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1)));
  }
  LLMRUN_INLINE static F ScaleByPowerOfTwo(F x, F shifted) {
    const __m512i n = _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(0x4B400000));
    const __m512i half = _mm512_srai_epi32(n, 1);
    return Mul(Mul(x, PowerOfTwo(half)), PowerOfTwo(_mm512_sub_epi32(n, half)));
  }

  LLMRUN_INLINE static uint32_t MaxMagnitudeBits(F a, F b) {
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    return _mm512_reduce_max_epu32(
        _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(a), magnitude),
                         _mm512_and_si512(_mm512_castps_si512(b), magnitude)));
  }
  LLMRUN_INLINE static int16_t StoreRounded(int8_t* at, F x) {
    const __m512i rounded = _mm512_cvtps_epi32(x);
    _mm_storeu_si128(reinterpret_cast<__m128i_u*>(at), _mm512_cvtepi32_epi8(rounded));
    return static_cast<int16_t>(_mm512_reduce_add_epi32(rounded));
  }
  LLMRUN_INLINE static F Negate(F x) { return _mm512_xor_ps(x, _mm512_set1_ps(-0.0F)); }

 private:
  LLMRUN_INLINE static __m256 AddParts(F x) {
    return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  }
  LLMRUN_INLINE static F PowerOfTwo(__m512i n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(127)), 23));
  }
};

}  // namespace llmrun::avx512
