// Emulated: bits, shifts and masks.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "tests/emulated/constants.h"
#include "tests/emulated/lanes.h"

namespace llmrun {

// --- bits ---

LLMRUN_EMULATED __m512i _mm512_and_si512(__m512i a, __m512i b) { return a & b; }
LLMRUN_EMULATED __m512i _mm512_or_si512(__m512i a, __m512i b) { return a | b; }
LLMRUN_EMULATED __m512i _mm512_xor_si512(__m512i a, __m512i b) { return a ^ b; }
LLMRUN_EMULATED __m512 _mm512_xor_ps(__m512 a, __m512 b) {
  return _mm512_castsi512_ps(_mm512_castps_si512(a) ^ _mm512_castps_si512(b));
}
LLMRUN_SHIFT_BY_HALVES(slli_epi16)
LLMRUN_SHIFT_BY_HALVES(srli_epi16)
LLMRUN_SHIFT_BY_HALVES(slli_epi32)
LLMRUN_SHIFT_BY_HALVES(srli_epi32)
LLMRUN_SHIFT_BY_HALVES(srai_epi32)
LLMRUN_INTS_BY_HALVES(srlv_epi32)

// --- masks ---

LLMRUN_EMULATED __m512i _mm512_maskz_mov_epi8(__mmask64 mask, __m512i a) {
  const emulated::Lanes<int8_t> x(a);
  return emulated::Make<int8_t>([&](int i) { return (mask >> i & 1) != 0 ? x.v[i] : 0; });
}
LLMRUN_EMULATED __m512i _mm512_mask_mov_epi8(__m512i from, __mmask64 mask, __m512i a) {
  const emulated::Lanes<int8_t> x(a);
  const emulated::Lanes<int8_t> old(from);
  return emulated::Make<int8_t>([&](int i) { return (mask >> i & 1) != 0 ? x.v[i] : old.v[i]; });
}
LLMRUN_EMULATED __m512i _mm512_mask_mov_epi32(__m512i from, __mmask16 mask, __m512i a) {
  const emulated::Lanes<int32_t> x(a);
  const emulated::Lanes<int32_t> old(from);
  return emulated::Make<int32_t>([&](int i) { return (mask >> i & 1) != 0 ? x.v[i] : old.v[i]; });
}
LLMRUN_EMULATED __m512i _mm512_mask_or_epi32(__m512i from, __mmask16 mask, __m512i a, __m512i b) {
  return _mm512_mask_mov_epi32(from, mask, a | b);
}
LLMRUN_EMULATED __mmask64 _mm512_test_epi8_mask(__m512i a, __m512i b) {
  return emulated::Test<uint8_t, __mmask64>(a, b,
                                            [](uint8_t x, uint8_t y) { return (x & y) != 0; });
}
LLMRUN_EMULATED __mmask64 _mm512_cmpgt_epi8_mask(__m512i a, __m512i b) {
  return emulated::Test<int8_t, __mmask64>(a, b, [](int8_t x, int8_t y) { return x > y; });
}
LLMRUN_EMULATED __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
  if (predicate != _CMP_UNORD_Q) __builtin_trap();  // no other is used
  return emulated::Test<float, __mmask16>(
      _mm512_castps_si512(a), _mm512_castps_si512(b),
      [](float x, float y) { return __builtin_isunordered(x, y) != 0; });
}

}  // namespace llmrun
