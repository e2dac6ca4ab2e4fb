// Emulated: what is the same in all lanes, memory, and the same bits as another type.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "tests/emulated/lanes.h"

namespace llmrun {

// --- the same in all lanes, and constants ---

LLMRUN_EMULATED __m512i _mm512_setzero_si512() { return __m512i{}; }
LLMRUN_EMULATED __m512 _mm512_setzero_ps() { return __m512{}; }
LLMRUN_EMULATED __m512i _mm512_set1_epi8(char x) {
  const auto half = _mm256_set1_epi8(x);
  return emulated::Joined(half, half);
}
LLMRUN_EMULATED __m512i _mm512_set1_epi16(short x) {
  const auto half = _mm256_set1_epi16(x);
  return emulated::Joined(half, half);
}
LLMRUN_EMULATED __m512i _mm512_set1_epi32(int x) {
  const auto half = _mm256_set1_epi32(x);
  return emulated::Joined(half, half);
}
LLMRUN_EMULATED __m512i _mm512_set1_epi64(long long x) {
  const auto half = _mm256_set1_epi64x(x);
  return emulated::Joined(half, half);
}
LLMRUN_EMULATED __m512 _mm512_set1_ps(float x) {
  const auto half = _mm256_set1_ps(x);
  return emulated::Joined(half, half);
}
LLMRUN_EMULATED __m512i _mm512_set4_epi32(int d, int c, int b, int a) {
  const int x[4] = {a, b, c, d};
  return emulated::Make<int32_t>([&](int i) { return x[i % 4]; });
}
#undef _mm512_setr_epi32  // the only one that is a macro with optimization, too
template <class... Ints>
LLMRUN_EMULATED __m512i _mm512_setr_epi32(Ints... x) {
  static_assert(sizeof...(x) == 16);
  const int all[16] = {x...};
  return emulated::LoadAt<__m512i>(all);
}
LLMRUN_EMULATED __m512i _mm512_broadcast_i32x4(__m128i x) {
  const emulated::Lanes<int32_t, 16> four(x);
  return emulated::Make<int32_t>([&](int i) { return four.v[i % 4]; });
}
LLMRUN_EMULATED __m512i _mm512_mask_broadcast_i32x4(__m512i from, __mmask16 mask, __m128i x) {
  const emulated::Lanes<int32_t, 16> four(x);
  const emulated::Lanes<int32_t> old(from);
  return emulated::Make<int32_t>(
      [&](int i) { return (mask >> i & 1) != 0 ? four.v[i % 4] : old.v[i]; });
}

// --- memory ---

LLMRUN_EMULATED __m512i _mm512_loadu_si512(const void* at) { return emulated::LoadAt<__m512i>(at); }
LLMRUN_EMULATED __m512 _mm512_loadu_ps(const void* at) { return emulated::LoadAt<__m512>(at); }
LLMRUN_EMULATED void _mm512_storeu_ps(void* at, __m512 x) { __builtin_memcpy(at, &x, sizeof x); }
LLMRUN_EMULATED __m512i _mm512_load_si512(const void* at) {
  emulated::CheckAligned(at);
  return emulated::LoadAt<__m512i>(at);
}
LLMRUN_EMULATED void _mm512_store_si512(void* at, __m512i x) {
  emulated::CheckAligned(at);
  __builtin_memcpy(at, &x, sizeof x);
}

// --- the same bits as another type; what is above is zero here, undefined there ---

LLMRUN_EMULATED __m512 _mm512_castsi512_ps(__m512i x) { return emulated::Cast<__m512>(x); }
LLMRUN_EMULATED __m512i _mm512_castps_si512(__m512 x) { return emulated::Cast<__m512i>(x); }
LLMRUN_EMULATED __m512i _mm512_castsi128_si512(__m128i x) { return emulated::Cast<__m512i>(x); }
LLMRUN_EMULATED __m512i _mm512_castsi256_si512(__m256i x) { return emulated::Cast<__m512i>(x); }
LLMRUN_EMULATED __m512 _mm512_castps128_ps512(__m128 x) { return emulated::Cast<__m512>(x); }
LLMRUN_EMULATED __m128i _mm512_castsi512_si128(__m512i x) { return emulated::Cast<__m128i>(x); }
LLMRUN_EMULATED __m256 _mm512_castps512_ps256(__m512 x) { return emulated::HalfOf(x, 0); }
LLMRUN_EMULATED __m256 _mm512_extractf32x8_ps(__m512 x, int i) { return emulated::HalfOf(x, i); }
LLMRUN_EMULATED __m512i _mm512_inserti64x4(__m512i x, __m256i half, int i) {
  __m256i halves[2];
  __builtin_memcpy(halves, &x, sizeof halves);
  halves[i] = half;
  return emulated::LoadAt<__m512i>(halves);
}

}  // namespace llmrun
