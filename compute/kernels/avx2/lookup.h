// AVX2, FMA and F16C: tables of sums. Include only from files of this folder; portable/ says what
// each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/avx2/ints.h"

namespace llmrun::avx2 {

struct Lookup : Ints {
  static constexpr bool kHasTables = true;

  LLMRUN_INLINE static void Columns(const std::byte* at, B (&columns)[4]) {
    __m256i low[4];
    __m256i high[4];
    TurnTwoGroups(at, low);
    TurnTwoGroups(at + 128, high);
    LLMRUN_UNROLL for (int i = 0; i < 4; ++i) columns[i] = {low[i], high[i]};
  }
  template <int kUnit>
  LLMRUN_INLINE static void PairTable(int x0, int x1, int middle, int8_t* low, int8_t* high) {
    const __m256i first = _mm256_setr_epi16(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
    const __m256i second = _mm256_setr_epi16(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    const auto spread = [](int x) { return _mm256_set1_epi16(static_cast<int16_t>(x)); };
    const __m256i sum = _mm256_sub_epi16(_mm256_add_epi16(_mm256_mullo_epi16(first, spread(x0)),
                                                          _mm256_mullo_epi16(second, spread(x1))),
                                         spread(middle));
    const __m256i part = _mm256_mulhrs_epi16(sum, spread(32768 / kUnit));
    const __m256i rest = _mm256_sub_epi16(sum, _mm256_mullo_epi16(part, spread(kUnit)));
    const __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(rest, part), 0xD8);
    Store16(low, _mm256_castsi256_si128(both));
    Store16(high, _mm256_extracti128_si256(both, 1));
  }
  LLMRUN_INLINE static B LookUpLanes(const int8_t* tables, B x) {
    return {_mm256_shuffle_epi8(Load32(tables), x.low),
            _mm256_shuffle_epi8(Load32(tables + 32), x.high)};
  }
  template <int kUnit>
  LLMRUN_INLINE static I SumOfLanes(B low, B high) {
    const __m256i lows = _mm256_add_epi8(low.low, low.high);
    const __m256i highs = _mm256_add_epi8(high.low, high.high);
    const __m256i factors = _mm256_set1_epi16(1 + 256 * kUnit);
    return {WidenSum(_mm256_maddubs_epi16(factors, _mm256_unpacklo_epi8(lows, highs))),
            WidenSum(_mm256_maddubs_epi16(factors, _mm256_unpackhi_epi8(lows, highs)))};
  }

 private:
  LLMRUN_INLINE static __m256i WidenSum(__m256i x) {
    return _mm256_cvtepi16_epi32(
        _mm_add_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)));
  }
  // Two groups, one in each half: four rows' bytes of a column together, then those of 16 rows.
  LLMRUN_INLINE static void TurnTwoGroups(const std::byte* at, __m256i (&columns)[4]) {
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m256i rows[4];
    LLMRUN_UNROLL for (int i = 0; i < 4; ++i) {
      const __m256i four = _mm256_inserti128_si256(_mm256_castsi128_si256(Load16(at + 16 * i)),
                                                   Load16(at + 64 + 16 * i), 1);
      rows[i] = _mm256_shuffle_epi8(four, order);
    }
    const __m256i low01 = _mm256_unpacklo_epi32(rows[0], rows[1]);
    const __m256i high01 = _mm256_unpackhi_epi32(rows[0], rows[1]);
    const __m256i low23 = _mm256_unpacklo_epi32(rows[2], rows[3]);
    const __m256i high23 = _mm256_unpackhi_epi32(rows[2], rows[3]);
    columns[0] = _mm256_unpacklo_epi64(low01, low23);
    columns[1] = _mm256_unpackhi_epi64(low01, low23);
    columns[2] = _mm256_unpacklo_epi64(high01, high23);
    columns[3] = _mm256_unpackhi_epi64(high01, high23);
  }
};

}  // namespace llmrun::avx2
