// AVX-512 F, BW, DQ, VL and VNNI: sixteen integers, the dot products among them. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/avx512/bytes.h"

namespace llmrun::avx512 {

struct Ints : Bytes {
  LLMRUN_INLINE static F AsFloats(B x) { return _mm512_castsi512_ps(x); }
  LLMRUN_INLINE static F ToFloat(I x) { return _mm512_cvtepi32_ps(x); }
  static constexpr bool kUsesWords = false;
  template <int kOffset>
  static constexpr bool HasStart() {
    return kOffset != 0;
  }
  LLMRUN_INLINE static B AsBytes(I x) { return x; }
  LLMRUN_INLINE static I GatherBytes(const std::byte* at, int64_t stride) {
    return FourVectors(FourBytes(at, stride), FourBytes(at + 4 * stride, stride),
                       FourBytes(at + 8 * stride, stride), FourBytes(at + 12 * stride, stride));
  }
  LLMRUN_INLINE static I WidenBytes(const std::byte* at) {
    return _mm512_cvtepu8_epi32(Load16(at));
  }
  LLMRUN_INLINE static B GatherWords(const std::byte* at, int64_t stride) {
    return FourVectors(FourWords(at, stride), FourWords(at + 4 * stride, stride),
                       FourWords(at + 8 * stride, stride), FourWords(at + 12 * stride, stride));
  }
  LLMRUN_INLINE static F GatherHalves(const std::byte* at, int64_t stride) {
    return _mm512_cvtph_ps(
        _mm256_setr_m128i(EightHalves(at, stride), EightHalves(at + 8 * stride, stride)));
  }
  LLMRUN_INLINE static F FourHalves(const std::byte* at, int64_t stride) {
    const __m128i four = _mm_setr_epi16(Half(at), Half(at + stride), Half(at + 2 * stride),
                                        Half(at + 3 * stride), 0, 0, 0, 0);
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
                                 _mm512_castps128_ps512(_mm_cvtph_ps(four)));
  }
  template <int i>
  LLMRUN_INLINE static F Lane(F x) {
    return _mm512_permute_ps(x, i * 0x55);
  }
  LLMRUN_INLINE static I TurnFours(I x) {
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), x);
  }
  // The halves of eight blocks of 18 bytes lie in 128 bytes.
  template <int kStride>
  LLMRUN_INLINE static F NeighbourHalves(const std::byte* at) {
    if constexpr (kStride != 18) {
      return GatherHalves(at, kStride);
    } else {
      const auto eight = [](const std::byte* p) {
        const __m512i words = _mm512_castsi128_si512(_mm_setr_epi16(0, 9, 18, 27, 36, 45, 54, 63));
        return _mm512_castsi512_si128(
            _mm512_permutex2var_epi16(_mm512_loadu_si512(p), words, _mm512_loadu_si512(p + 64)));
      };
      return _mm512_cvtph_ps(_mm256_setr_m128i(eight(at), eight(at + 8 * kStride)));
    }
  }
  LLMRUN_INLINE static I SumOfFours(const I (&units)[4]) {
    const __m512i low = _mm512_add_epi32(_mm512_unpacklo_epi32(units[0], units[1]),
                                         _mm512_unpackhi_epi32(units[0], units[1]));
    const __m512i high = _mm512_add_epi32(_mm512_unpacklo_epi32(units[2], units[3]),
                                          _mm512_unpackhi_epi32(units[2], units[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
  }
  LLMRUN_INLINE static I AddPairs(I a, I b) {
    const __m512 low = _mm512_castsi512_ps(a);
    const __m512 high = _mm512_castsi512_ps(b);
    return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(low, high, 0x88)),
                            _mm512_castps_si512(_mm512_shuffle_ps(low, high, 0xDD)));
  }
  template <int kShift, int kBits>
  LLMRUN_INLINE static I Field(B x) {
    return _mm512_and_si512(_mm512_srli_epi32(x, kShift), _mm512_set1_epi32((1 << kBits) - 1));
  }
  template <int kShift, int kStep, int kBits>
  LLMRUN_INLINE static I Fields(B x) {
    const __m512i shifts =
        _mm512_set4_epi32(kShift + 3 * kStep, kShift + 2 * kStep, kShift + kStep, kShift);
    return _mm512_and_si512(_mm512_srlv_epi32(x, shifts), _mm512_set1_epi32((1 << kBits) - 1));
  }
  template <int kOffset>
  LLMRUN_INLINE static B AddOffset(B x) {
    static_assert(kOffset == 128);
    return _mm512_xor_si512(x, _mm512_set1_epi8(static_cast<char>(0x80)));
  }
  template <int kMost>
  static constexpr int Chain(int /*groups*/) {
    return 1;
  }
  template <int kOffset>
  LLMRUN_INLINE static I AddDot(I sum, B w, B x) {
    return _mm512_dpbusd_epi32(sum, w, x);
  }
  template <int kFactor>
  LLMRUN_INLINE static I Widen(const int16_t* at) {
    return _mm512_mullo_epi32(_mm512_cvtepi16_epi32(Load32(at)), _mm512_set1_epi32(kFactor));
  }
  template <int kFactor>
  LLMRUN_INLINE static I Pairs(const int16_t* at) {
    return _mm512_madd_epi16(_mm512_loadu_si512(at), _mm512_set1_epi16(kFactor));
  }
  LLMRUN_INLINE static I SetInt(int x) { return _mm512_set1_epi32(x); }
  LLMRUN_INLINE static I ZeroInts() { return _mm512_setzero_si512(); }
  LLMRUN_INLINE static I SpreadInt(const int32_t* at) { return _mm512_set1_epi32(*at); }
  LLMRUN_INLINE static I LoadInts(const int32_t* at) { return _mm512_load_si512(at); }
  LLMRUN_INLINE static void StoreInts(int32_t* at, I x) { _mm512_store_si512(at, x); }
  template <int n>
  LLMRUN_INLINE static I ShiftIntsLeft(I x) {
    return _mm512_slli_epi32(x, n);
  }
  LLMRUN_INLINE static I AddInts(I a, I b) { return _mm512_add_epi32(a, b); }
  LLMRUN_INLINE static I MaxInts(I a, I b) { return _mm512_max_epi32(a, b); }
  LLMRUN_INLINE static I MulInts(I a, I b) { return _mm512_mullo_epi32(a, b); }

 private:
  // Functions and no lambdas, which clang would not inline into those of other instruction sets.
  LLMRUN_INLINE static __m128i FourBytes(const std::byte* at, int64_t stride) {
    return _mm_setr_epi32(static_cast<int>(at[0]), static_cast<int>(at[stride]),
                          static_cast<int>(at[2 * stride]), static_cast<int>(at[3 * stride]));
  }
  LLMRUN_INLINE static __m128i FourWords(const std::byte* at, int64_t stride) {
    return _mm_setr_epi32(Word(at), Word(at + stride), Word(at + 2 * stride),
                          Word(at + 3 * stride));
  }
  LLMRUN_INLINE static __m128i EightHalves(const std::byte* at, int64_t stride) {
    return _mm_setr_epi16(Half(at), Half(at + stride), Half(at + 2 * stride), Half(at + 3 * stride),
                          Half(at + 4 * stride), Half(at + 5 * stride), Half(at + 6 * stride),
                          Half(at + 7 * stride));
  }
  LLMRUN_INLINE static __m512i FourVectors(__m128i a, __m128i b, __m128i c, __m128i d) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(b, a)),
                              _mm256_set_m128i(d, c), 1);
  }
};

}  // namespace llmrun::avx512
