// Emulated: arithmetic.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "tests/emulated/bits.h"
#include "tests/emulated/constants.h"
#include "tests/emulated/lanes.h"

namespace llmrun {

// --- integers ---

LLMRUN_INTS_BY_HALVES(add_epi8)
LLMRUN_INTS_BY_HALVES(add_epi32)
LLMRUN_INTS_BY_HALVES(sub_epi32)
LLMRUN_INTS_BY_HALVES(mullo_epi32)
LLMRUN_INTS_BY_HALVES(max_epi32)
LLMRUN_INTS_BY_HALVES(max_epu32)
LLMRUN_INTS_BY_HALVES(madd_epi16)
LLMRUN_EMULATED uint32_t _mm512_reduce_max_epu32(__m512i a) {
  uint32_t most = 0;
  for (const uint32_t x : emulated::Lanes<uint32_t>(a).v) most = x > most ? x : most;
  return most;
}
LLMRUN_EMULATED int _mm512_reduce_add_epi32(__m512i a) {
  uint32_t sum = 0;
  for (const uint32_t x : emulated::Lanes<uint32_t>(a).v) sum += x;
  return static_cast<int>(sum);
}
// Of even and of odd bytes, as words.
LLMRUN_EMULATED __m256i _mm256_dpbusd_avx_epi32(__m256i sum, __m256i a, __m256i b) {
  const __m256i even = _mm256_madd_epi16(_mm256_and_si256(a, _mm256_set1_epi16(255)),
                                         _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8));
  const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(a, 8), _mm256_srai_epi16(b, 8));
  return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
LLMRUN_EMULATED __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
  return emulated::ByHalves(
      [](__m256i s, __m256i x, __m256i y) { return _mm256_dpbusd_avx_epi32(s, x, y); }, sum, a, b);
}

// --- floats: by the instructions of 256 bits, whose rounding and denormals are the same ---

LLMRUN_FLOATS_BY_HALVES(add_ps)
LLMRUN_FLOATS_BY_HALVES(sub_ps)
LLMRUN_FLOATS_BY_HALVES(mul_ps)
LLMRUN_FLOATS_BY_HALVES(div_ps)
LLMRUN_FLOATS_BY_HALVES(min_ps)
LLMRUN_FLOATS_BY_HALVES(max_ps)
LLMRUN_EMULATED __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return emulated::ByHalves([](__m256 x, __m256 y, __m256 z) { return _mm256_fmadd_ps(x, y, z); },
                            a, b, c);
}
// One rounding for each of both products, the odd one first.
LLMRUN_EMULATED __m512 _mm512_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
  const auto x = emulated::Cast<__m512i>(a);
  const auto y = emulated::Cast<__m512i>(b);
  const __m512i odd = _mm512_set1_epi32(static_cast<int>(0xFFFF0000U));
  const auto even_of = [](__m512i v) { return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16)); };
  const auto odd_of = [&](__m512i v) { return _mm512_castsi512_ps(_mm512_and_si512(v, odd)); };
  return _mm512_fmadd_ps(even_of(x), even_of(y), _mm512_fmadd_ps(odd_of(x), odd_of(y), sum));
}

}  // namespace llmrun
