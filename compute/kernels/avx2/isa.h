// AVX2, FMA and F16C: sixteen lanes in two registers. Include only from files of this folder;
// portable/isa.h says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace llmrun::avx2 {

struct Isa {
  struct F {
    __m256 low, high;
  };
  struct I {
    __m256i low, high;
  };
  struct B {
    __m256i low, high;
  };

  // One row at a time for one token: the hardware prefetchers follow a single stream of weights
  // to the speed of memory, and four streams to less than half of it (Zen 4).
  static constexpr int kMaxTokens = 2;
  static constexpr int RowsFor(int tokens) { return tokens == 1 ? 1 : 4; }

  static F Set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static F Zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static F Load(const float* at) { return {_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)}; }
  static F LoadF32(const std::byte* at) {
    return {_mm256_castsi256_ps(Load32(at)), _mm256_castsi256_ps(Load32(at + 32))};
  }
  static F LoadF16(const std::byte* at) {
    return {_mm256_cvtph_ps(Load16(at)), _mm256_cvtph_ps(Load16(at + 16))};
  }
  static F LoadBf16(const std::byte* at) { return {WidenBf16(at), WidenBf16(at + 16)}; }
  static F LoadTwice(const float* at) { return Twice(_mm256_loadu_ps(at)); }
  static F LoadInt16(const int16_t* at) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(Load16(at))),
            _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(Load16(at + 8)))};
  }
  static void Store(float* at, F x) {
    _mm256_storeu_ps(at, x.low);
    _mm256_storeu_ps(at + 8, x.high);
  }
  static void StoreF16(std::byte* at, F x) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    Store16(at, _mm256_cvtps_ph(x.low, kNearest));
    Store16(at + 16, _mm256_cvtps_ph(x.high, kNearest));
  }

  static F Add(F a, F b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  static F Sub(F a, F b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
  static F Mul(F a, F b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  static F Div(F a, F b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
  static F Min(F a, F b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
  static F Max(F a, F b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
  static F Fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static float ReduceAdd(F x) {
    const __m256 eight = _mm256_add_ps(x.low, x.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four))) + 0.0F;
  }
  static float ReduceMax(F x) {
    const __m256 eight = _mm256_max_ps(x.low, x.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  }
  static F ScaleByPowerOfTwo(F x, F shifted) {
    return {ScaleEight(x.low, shifted.low), ScaleEight(x.high, shifted.high)};
  }

  static uint32_t MaxMagnitudeBits(F a, F b) {
    const __m256i eight = _mm256_max_epu32(_mm256_max_epu32(Magnitude(a.low), Magnitude(a.high)),
                                           _mm256_max_epu32(Magnitude(b.low), Magnitude(b.high)));
    __m128i four = _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_max_epu32(four, _mm_unpackhi_epi64(four, four));
    return static_cast<uint32_t>(
        _mm_cvtsi128_si32(_mm_max_epu32(four, _mm_shuffle_epi32(four, 1))));
  }
  static int16_t StoreRounded(int8_t* at, F x) {
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

  static B LoadBytes(const int8_t* at) { return {Load32(at), Load32(at + 32)}; }
  // Products are added in pairs as int16, which saturate: |pair| <= 2 * 127 * (weight + offset)
  // is safe up to 128. Weights with offset 128 (Q8_0) are therefore kept signed, and the sign is
  // moved to x; the magnitude 128 is safe too.
  template <int kOffset>
  static I DotStart(B x) {
    if constexpr (kOffset == 0 || kOffset == 128) {
      return {_mm256_setzero_si256(), _mm256_setzero_si256()};
    } else {
      const __m256i offset = _mm256_set1_epi8(kOffset);
      const __m256i zero = _mm256_setzero_si256();
      return {_mm256_sub_epi32(zero, DotEight(offset, x.low)),
              _mm256_sub_epi32(zero, DotEight(offset, x.high))};
    }
  }
  template <int kOffset>
  static I Dot(I start, B w, B x) {
    if constexpr (kOffset == 128) {
      return {DotEight(_mm256_abs_epi8(w.low), _mm256_sign_epi8(x.low, w.low)),
              DotEight(_mm256_abs_epi8(w.high), _mm256_sign_epi8(x.high, w.high))};
    } else if constexpr (kOffset == 0) {
      return {DotEight(w.low, x.low), DotEight(w.high, x.high)};
    } else {
      return {_mm256_add_epi32(start.low, DotEight(w.low, x.low)),
              _mm256_add_epi32(start.high, DotEight(w.high, x.high))};
    }
  }
  static F ToFloat(I x) { return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)}; }
  static F SpreadGroups(const float* groups, int unit) {
    const __m256 four = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(groups + unit * 4));
    return {_mm256_permutevar_ps(four, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1)),
            _mm256_permutevar_ps(four, _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3))};
  }

  // For the formats.
  static __m128i Load16(const void* at) {
    return _mm_loadu_si128(static_cast<const __m128i_u*>(at));
  }
  static __m256i Load32(const void* at) {
    return _mm256_loadu_si256(static_cast<const __m256i_u*>(at));
  }
  static F Twice(__m256 x) {
    return {_mm256_permutevar8x32_ps(x, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)),
            _mm256_permutevar8x32_ps(x, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7))};
  }

 private:
  static void Store16(void* at, __m128i x) { _mm_storeu_si128(static_cast<__m128i_u*>(at), x); }
  static __m256 WidenBf16(const std::byte* at) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(Load16(at)), 16));
  }
  static __m256i Magnitude(__m256 x) {
    return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7FFFFFFF));
  }
  static __m256 PowerOfTwo(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }
  static __m256 ScaleEight(__m256 x, __m256 shifted) {
    const __m256i n = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(0x4B400000));
    const __m256i half = _mm256_srai_epi32(n, 1);
    return _mm256_mul_ps(_mm256_mul_ps(x, PowerOfTwo(half)), PowerOfTwo(_mm256_sub_epi32(n, half)));
  }
  static __m256i DotEight(__m256i unsigned_bytes, __m256i signed_bytes) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(unsigned_bytes, signed_bytes),
                             _mm256_set1_epi16(1));
  }
};

}  // namespace llmrun::avx2
