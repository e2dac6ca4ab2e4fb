// AVX2, FMA and F16C: sixteen lanes in two registers: sixteen floats. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/avx2/half_floats.h"
#include "compute/kernels/avx2/vectors.h"
#include "compute/kernels/eight_floats.h"

namespace llmrun::avx2 {

struct Floats : Vectors {
  LLMRUN_INLINE static F Set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  LLMRUN_INLINE static F Zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  LLMRUN_INLINE static F Load(const float* at) {
    return {HalfFloats::Load(at), HalfFloats::Load(at + 8)};
  }
  LLMRUN_INLINE static F LoadF32(const std::byte* at) {
    return {HalfFloats::LoadF32(at), HalfFloats::LoadF32(at + 32)};
  }
  LLMRUN_INLINE static F LoadF16(const std::byte* at) {
    return {HalfFloats::LoadF16(at), HalfFloats::LoadF16(at + 16)};
  }
  LLMRUN_INLINE static F LoadBf16(const std::byte* at) {
    return {WidenBf16(at), WidenBf16(at + 16)};
  }
  LLMRUN_INLINE static F SpreadF16(const std::byte* at) {
    const __m256 value = _mm256_cvtph_ps(_mm_set1_epi16(Half(at)));
    return {value, value};
  }
  LLMRUN_INLINE static F LoadSigned(const std::byte* at) { return FromBytes(Load16(at)); }
  template <int kShift>
  LLMRUN_INLINE static F LoadNibbles(const std::byte* at) {
    const __m128i bits = _mm_and_si128(_mm_srli_epi16(Load16(at), kShift), _mm_set1_epi8(15));
    return FromBytes(_mm_sub_epi8(bits, _mm_set1_epi8(8)));
  }
  LLMRUN_INLINE static void Store(float* at, F x) {
    HalfFloats::Store(at, x.low);
    HalfFloats::Store(at + 8, x.high);
  }
  LLMRUN_INLINE static void StoreF16(std::byte* at, F x) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    Store16(at, _mm256_cvtps_ph(x.low, kNearest));
    Store16(at + 16, _mm256_cvtps_ph(x.high, kNearest));
  }
  LLMRUN_INLINE static void StoreBf16(std::byte* at, F x) {
    // Packing works inside 128-bit halves: 64-bit parts 0, 2, 1, 3 restore the order.
    const __m256i words = _mm256_permute4x64_epi64(
        _mm256_packus_epi32(RoundToBf16(x.low), RoundToBf16(x.high)), 0xD8);
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(at), words);
  }
  struct Bf16Pairs {
    F even, odd;
  };
  LLMRUN_INLINE static Bf16Pairs LoadBf16Pairs(const std::byte* at) {
    const auto low = HalfFloats::LoadBf16Pairs(at);
    const auto high = HalfFloats::LoadBf16Pairs(at + 32);
    return {{low.even, high.even}, {low.odd, high.odd}};
  }
  LLMRUN_INLINE static F AddBf16Pairs(F sum, const Bf16Pairs& w, const Bf16Pairs& x) {
    return Fma(w.even, x.even, Fma(w.odd, x.odd, sum));
  }

  LLMRUN_INLINE static F Add(F a, F b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
  LLMRUN_INLINE static F Sub(F a, F b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
  }
  LLMRUN_INLINE static F Mul(F a, F b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  LLMRUN_INLINE static F Div(F a, F b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
  }
  LLMRUN_INLINE static F Min(F a, F b) {
    return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
  }
  LLMRUN_INLINE static F Max(F a, F b) {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
  }
  LLMRUN_INLINE static F Fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  LLMRUN_INLINE static float ReduceAdd(F x) { return EightFloats::Sum(AddParts(x)); }
  LLMRUN_INLINE static void StoreReduced(float* at, F a, F b, F c, F d) {
    EightFloats::StoreSums(at, AddParts(a), AddParts(b), AddParts(c), AddParts(d));
  }
  LLMRUN_INLINE static float ReduceMax(F x) {
    return EightFloats::Max(_mm256_max_ps(x.low, x.high));
  }
  LLMRUN_INLINE static F ScaleByPowerOfTwo(F x, F shifted) {
    return {ScaleEight(x.low, shifted.low), ScaleEight(x.high, shifted.high)};
  }

  LLMRUN_INLINE static uint32_t MaxMagnitudeBits(F a, F b) {
    const __m256i eight = _mm256_max_epu32(_mm256_max_epu32(Magnitude(a.low), Magnitude(a.high)),
                                           _mm256_max_epu32(Magnitude(b.low), Magnitude(b.high)));
    __m128i four = _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_max_epu32(four, _mm_unpackhi_epi64(four, four));
    return static_cast<uint32_t>(
        _mm_cvtsi128_si32(_mm_max_epu32(four, _mm_shuffle_epi32(four, 1))));
  }
  LLMRUN_INLINE static int16_t StoreRounded(int8_t* at, F x) {
    const __m256i low = _mm256_cvtps_epi32(x.low);
    const __m256i high = _mm256_cvtps_epi32(x.high);
    // Packing works inside 128-bit halves: 64-bit parts 0, 2, 1, 3 restore the order.
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
    Store16(at, _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
    const __m256i eight = _mm256_add_epi32(low, high);
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return static_cast<int16_t>(_mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 1))));
  }
  LLMRUN_INLINE static F Negate(F x) {
    const __m256 sign = _mm256_set1_ps(-0.0F);
    return {_mm256_xor_ps(x.low, sign), _mm256_xor_ps(x.high, sign)};
  }

 private:
  LLMRUN_INLINE static __m256 AddParts(F x) { return _mm256_add_ps(x.low, x.high); }
  LLMRUN_INLINE static __m256i RoundToBf16(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_add_epi32(bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7FFF)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, is_nan), 16);
  }
  LLMRUN_INLINE static F FromBytes(__m128i x) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)))};
  }
  LLMRUN_INLINE static __m256 WidenBf16(const std::byte* at) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(Load16(at)), 16));
  }
  LLMRUN_INLINE static __m256i Magnitude(__m256 x) {
    return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7FFFFFFF));
  }
  LLMRUN_INLINE static __m256 PowerOfTwo(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }
  LLMRUN_INLINE static __m256 ScaleEight(__m256 x, __m256 shifted) {
    const __m256i n = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(0x4B400000));
    const __m256i half = _mm256_srai_epi32(n, 1);
    return _mm256_mul_ps(_mm256_mul_ps(x, PowerOfTwo(half)), PowerOfTwo(_mm256_sub_epi32(n, half)));
  }
};

}  // namespace llmrun::avx2
