// AVX-512 F, BW, DQ, VL and VNNI: sixteen floats. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/avx512/vectors.h"

namespace llmrun::avx512 {

struct Floats : Vectors {
  static F Set(float x) { return _mm512_set1_ps(x); }
  static F Zero() { return _mm512_setzero_ps(); }
  static F Load(const float* at) { return _mm512_loadu_ps(at); }
  static F LoadF32(const std::byte* at) { return _mm512_loadu_ps(at); }
  static F LoadF16(const std::byte* at) { return _mm512_cvtph_ps(Load32(at)); }
  static F LoadBf16(const std::byte* at) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(Load32(at)), 16));
  }
  static F SpreadF16(const std::byte* at) { return _mm512_cvtph_ps(_mm256_set1_epi16(Half(at))); }
  static F LoadSigned(const std::byte* at) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(Load16(at)));
  }
  template <int kShift>
  static F LoadNibbles(const std::byte* at) {
    const __m128i bits = _mm_and_si128(_mm_srli_epi16(Load16(at), kShift), _mm_set1_epi8(15));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_sub_epi8(bits, _mm_set1_epi8(8))));
  }
  static void Store(float* at, F x) { _mm512_storeu_ps(at, x); }
  static void StoreF16(std::byte* at, F x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(at),
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  static F Add(F a, F b) { return _mm512_add_ps(a, b); }
  static F Sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F Div(F a, F b) { return _mm512_div_ps(a, b); }
  static F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F Min(F a, F b) { return _mm512_min_ps(a, b); }
  static F Max(F a, F b) { return _mm512_max_ps(a, b); }
  static float ReduceAdd(F x) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four))) + 0.0F;
  }
  static float ReduceMax(F x) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  }
  static F ScaleByPowerOfTwo(F x, F shifted) {
    const __m512i n = _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(0x4B400000));
    const __m512i half = _mm512_srai_epi32(n, 1);
    return Mul(Mul(x, PowerOfTwo(half)), PowerOfTwo(_mm512_sub_epi32(n, half)));
  }

  static uint32_t MaxMagnitudeBits(F a, F b) {
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    return _mm512_reduce_max_epu32(
        _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(a), magnitude),
                         _mm512_and_si512(_mm512_castps_si512(b), magnitude)));
  }
  static int16_t StoreRounded(int8_t* at, F x) {
    const __m512i rounded = _mm512_cvtps_epi32(x);
    _mm_storeu_si128(reinterpret_cast<__m128i_u*>(at), _mm512_cvtepi32_epi8(rounded));
    return static_cast<int16_t>(_mm512_reduce_add_epi32(rounded));
  }
  static F Negate(F x) { return _mm512_xor_ps(x, _mm512_set1_ps(-0.0F)); }

 private:
  static F PowerOfTwo(__m512i n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(127)), 23));
  }
};

}  // namespace llmrun::avx512
