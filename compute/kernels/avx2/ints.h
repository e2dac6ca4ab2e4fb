// AVX2, FMA and F16C: sixteen lanes in two registers: sixteen integers, the dot products among
// them. Include only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/avx2/bytes.h"

namespace llmrun::avx2 {

struct Ints : Bytes {
  LLMRUN_INLINE static F AsFloats(B x) {
    return {_mm256_castsi256_ps(x.low), _mm256_castsi256_ps(x.high)};
  }
  LLMRUN_INLINE static F ToFloat(I x) {
    return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)};
  }
  LLMRUN_INLINE static B AsBytes(I x) { return {x.low, x.high}; }
  LLMRUN_INLINE static I GatherBytes(const std::byte* at, int64_t stride) {
    const auto byte = [&](int i) { return static_cast<int>(at[i * stride]); };
    return {
        _mm256_setr_epi32(byte(0), byte(1), byte(2), byte(3), byte(4), byte(5), byte(6), byte(7)),
        _mm256_setr_epi32(byte(8), byte(9), byte(10), byte(11), byte(12), byte(13), byte(14),
                          byte(15))};
  }
  LLMRUN_INLINE static I WidenBytes(const std::byte* at) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes))};
  }
  LLMRUN_INLINE static B GatherWords(const std::byte* at, int64_t stride) {
    const auto word = [&](int i) { return Word(at + i * stride); };
    return {
        _mm256_setr_epi32(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7)),
        _mm256_setr_epi32(word(8), word(9), word(10), word(11), word(12), word(13), word(14),
                          word(15))};
  }
  LLMRUN_INLINE static F GatherHalves(const std::byte* at, int64_t stride) {
    return {EightHalves(at, stride), EightHalves(at + 8 * stride, stride)};
  }
  LLMRUN_INLINE static F FourHalves(const std::byte* at, int64_t stride) {
    const __m256 four = _mm256_castps128_ps256(_mm_cvtph_ps(_mm_setr_epi16(
        Half(at), Half(at + stride), Half(at + 2 * stride), Half(at + 3 * stride), 0, 0, 0, 0)));
    return {_mm256_permutevar8x32_ps(four, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1)),
            _mm256_permutevar8x32_ps(four, _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3))};
  }
  template <int i>
  LLMRUN_INLINE static F Lane(F x) {
    return {_mm256_permute_ps(x.low, i * 0x55), _mm256_permute_ps(x.high, i * 0x55)};
  }
  LLMRUN_INLINE static I TurnFours(I x) {
    // Of a0..a3 b0..b3 and c0..c3 d0..d3: a0 b0 a1 b1 a2 b2 a3 b3 and so for c and d.
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i low = _mm256_permutevar8x32_epi32(x.low, order);
    const __m256i high = _mm256_permutevar8x32_epi32(x.high, order);
    const __m256i even = _mm256_unpacklo_epi64(low, high);  // a0 b0 c0 d0, a2 b2 c2 d2
    const __m256i odd = _mm256_unpackhi_epi64(low, high);
    return {_mm256_permute2x128_si256(even, odd, 0x20), _mm256_permute2x128_si256(even, odd, 0x31)};
  }
  template <int kStride>
  LLMRUN_INLINE static F NeighbourHalves(const std::byte* at) {
    return GatherHalves(at, kStride);
  }
  LLMRUN_INLINE static I SumOfFours(const I (&units)[4]) {
    const auto four = [](__m256i a, __m256i b, __m256i c, __m256i d) {
      return _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    };
    return {four(units[0].low, units[1].low, units[2].low, units[3].low),
            four(units[0].high, units[1].high, units[2].high, units[3].high)};
  }
  LLMRUN_INLINE static I AddPairs(I a, I b) {
    return {_mm256_hadd_epi32(a.low, b.low), _mm256_hadd_epi32(a.high, b.high)};
  }
  template <int kShift, int kBits>
  LLMRUN_INLINE static I Field(B x) {
    const __m256i mask = _mm256_set1_epi32((1 << kBits) - 1);
    return {_mm256_and_si256(_mm256_srli_epi32(x.low, kShift), mask),
            _mm256_and_si256(_mm256_srli_epi32(x.high, kShift), mask)};
  }
  template <int kShift, int kStep, int kBits>
  LLMRUN_INLINE static I Fields(B x) {
    const __m256i shifts =
        _mm256_setr_epi32(kShift, kShift + kStep, kShift + 2 * kStep, kShift + 3 * kStep, kShift,
                          kShift + kStep, kShift + 2 * kStep, kShift + 3 * kStep);
    const __m256i mask = _mm256_set1_epi32((1 << kBits) - 1);
    return {_mm256_and_si256(_mm256_srlv_epi32(x.low, shifts), mask),
            _mm256_and_si256(_mm256_srlv_epi32(x.high, shifts), mask)};
  }
  // Products are added in pairs as int16, which saturate: |pair| <= 2 * 127 * (weight + offset)
  // is safe up to 128. Weights with offset 128 are therefore kept signed, and their sign is moved
  // to x; the magnitude 128 is safe too.
  template <int kOffset>
  static constexpr bool HasStart() {
    return kOffset != 0 && kOffset != 128;
  }
  template <int kOffset>
  LLMRUN_INLINE static B AddOffset(B x) {
    static_assert(kOffset == 128);
    return x;
  }
  template <int kMost>
  static constexpr int Chain(int groups) {
    int chain = 1;
    while (2 * chain <= groups && 2 * chain * kMost * 2 * 127 <= 32767) chain *= 2;
    return chain;
  }
  using Shorts = B;
  LLMRUN_INLINE static Shorts ShortDot(B w, B x) {
    return {_mm256_maddubs_epi16(w.low, x.low), _mm256_maddubs_epi16(w.high, x.high)};
  }
  LLMRUN_INLINE static Shorts AddShorts(Shorts a, Shorts b) {
    return Now(Shorts{_mm256_add_epi16(a.low, b.low), _mm256_add_epi16(a.high, b.high)});
  }
  LLMRUN_INLINE static I AddPairsOfShorts(I sum, Shorts x) {
    const __m256i ones = _mm256_set1_epi16(1);
    return {_mm256_add_epi32(sum.low, _mm256_madd_epi16(x.low, ones)),
            _mm256_add_epi32(sum.high, _mm256_madd_epi16(x.high, ones))};
  }
  template <int kOffset>
  LLMRUN_INLINE static I AddDot(I sum, B w, B x) {
    if constexpr (kOffset == 128) {
      x = {_mm256_sign_epi8(x.low, w.low), _mm256_sign_epi8(x.high, w.high)};
      w = {_mm256_abs_epi8(w.low), _mm256_abs_epi8(w.high)};
    }
    return {_mm256_add_epi32(sum.low, DotEight(w.low, x.low)),
            _mm256_add_epi32(sum.high, DotEight(w.high, x.high))};
  }
  // Signed weights: two multiplications of words for 32 products, where moving signs takes three
  // instructions of the same ports.
  static constexpr bool kUsesWords = true;
  LLMRUN_INLINE static B LoadWords(const int32_t* at) { return {Load32(at), Load32(at + 8)}; }
  LLMRUN_INLINE static I PairOfWords(I low, I high) {
    const auto pair = [](__m256i a, __m256i b) {
      return _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xAA);
    };
    return {pair(low.low, high.low), pair(low.high, high.high)};
  }
  LLMRUN_INLINE static I AddWords(I sum, B w, B x) {
    return Now(I{_mm256_add_epi32(sum.low, _mm256_madd_epi16(w.low, x.low)),
                 _mm256_add_epi32(sum.high, _mm256_madd_epi16(w.high, x.high))});
  }
  template <int kFactor>
  LLMRUN_INLINE static I Widen(const int16_t* at) {
    const __m256i factor = _mm256_set1_epi32(kFactor);
    return {_mm256_mullo_epi32(_mm256_cvtepi16_epi32(Load16(at)), factor),
            _mm256_mullo_epi32(_mm256_cvtepi16_epi32(Load16(at + 8)), factor)};
  }
  template <int kFactor>
  LLMRUN_INLINE static I Pairs(const int16_t* at) {
    const __m256i factor = _mm256_set1_epi16(kFactor);
    return {_mm256_madd_epi16(Load32(at), factor), _mm256_madd_epi16(Load32(at + 16), factor)};
  }
  LLMRUN_INLINE static I SetInt(int x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  LLMRUN_INLINE static I ZeroInts() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  LLMRUN_INLINE static I SpreadInt(const int32_t* at) {
    const __m256i eight = _mm256_set1_epi32(*at);
    return {eight, eight};
  }
  LLMRUN_INLINE static I LoadInts(const int32_t* at) { return {Load32(at), Load32(at + 8)}; }
  LLMRUN_INLINE static void StoreInts(int32_t* at, I x) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(at), x.low);
    _mm256_store_si256(reinterpret_cast<__m256i*>(at + 8), x.high);
  }
  template <int n>
  LLMRUN_INLINE static I ShiftIntsLeft(I x) {
    return {_mm256_slli_epi32(x.low, n), _mm256_slli_epi32(x.high, n)};
  }
  LLMRUN_INLINE static I AddInts(I a, I b) {
    return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
  }
  LLMRUN_INLINE static I MaxInts(I a, I b) {
    return {_mm256_max_epi32(a.low, b.low), _mm256_max_epi32(a.high, b.high)};
  }
  LLMRUN_INLINE static I MulInts(I a, I b) {
    return {_mm256_mullo_epi32(a.low, b.low), _mm256_mullo_epi32(a.high, b.high)};
  }

 private:
  // GCC would put all sums off until their last one is needed, and products in memory meanwhile.
  template <typename T>
  LLMRUN_INLINE static T Now(T sum) {
    asm("" : "+x"(sum.low), "+x"(sum.high));
    return sum;
  }
  LLMRUN_INLINE static __m256 EightHalves(const std::byte* at, int64_t stride) {
    return _mm256_cvtph_ps(_mm_setr_epi16(Half(at), Half(at + stride), Half(at + 2 * stride),
                                          Half(at + 3 * stride), Half(at + 4 * stride),
                                          Half(at + 5 * stride), Half(at + 6 * stride),
                                          Half(at + 7 * stride)));
  }
  LLMRUN_INLINE static __m256i DotEight(__m256i unsigned_bytes, __m256i signed_bytes) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(unsigned_bytes, signed_bytes),
                             _mm256_set1_epi16(1));
  }
};

}  // namespace llmrun::avx2
