// Emulated: lanes that change places, widths or types.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "tests/emulated/constants.h"
#include "tests/emulated/lanes.h"

namespace llmrun {

// --- moving lanes ---

LLMRUN_INTS_BY_HALVES(unpacklo_epi32)
LLMRUN_INTS_BY_HALVES(unpackhi_epi32)
LLMRUN_INTS_BY_HALVES(unpacklo_epi64)
LLMRUN_INTS_BY_HALVES(unpackhi_epi64)
LLMRUN_INTS_BY_HALVES(shuffle_epi8)
namespace emulated {
LLMRUN_EMULATED __m512i ShuffleWords(__m512i a, int order) {
  return ByHalves([&](__m256i x) { return _mm256_shuffle_epi32(x, order); }, a);
}
}  // namespace emulated
// A macro: the type of its argument would have the other one found, too.
#define _mm512_shuffle_epi32 ::llmrun::emulated::ShuffleWords
LLMRUN_EMULATED __m512 _mm512_permute_ps(__m512 a, int order) {
  return emulated::ByHalves([&](__m256 x) { return _mm256_permute_ps(x, order); }, a);
}
LLMRUN_EMULATED __m512 _mm512_shuffle_ps(__m512 a, __m512 b, int order) {
  return emulated::ByHalves([&](__m256 x, __m256 y) { return _mm256_shuffle_ps(x, y, order); }, a,
                            b);
}
LLMRUN_EMULATED __m512i _mm512_permutexvar_epi32(__m512i places, __m512i a) {
  const emulated::Lanes<int32_t> x(a);
  return emulated::Map<int32_t>(places, [&](int32_t at) { return x.v[at & 15]; });
}
LLMRUN_EMULATED __m512 _mm512_permutexvar_ps(__m512i places, __m512 a) {
  return _mm512_castsi512_ps(_mm512_permutexvar_epi32(places, _mm512_castps_si512(a)));
}
LLMRUN_EMULATED __m512i _mm512_permutex2var_epi16(__m512i a, __m512i places, __m512i b) {
  const emulated::Lanes<int16_t> x(a);
  const emulated::Lanes<int16_t> y(b);
  return emulated::Map<int16_t>(places,
                                [&](int16_t at) { return ((at & 32) != 0 ? y : x).v[at & 31]; });
}

// --- other widths and types ---

namespace emulated {
template <class Narrow, class Vector>
LLMRUN_EMULATED __m512i Widened(Vector a) {
  const Lanes<Narrow, sizeof a> x(a);
  return Make<int32_t>([&](int i) { return x.v[i]; });
}
template <class Narrow, class Vector>
LLMRUN_EMULATED Vector Narrowed(__m512i a) {
  const Lanes<int32_t> x(a);
  Lanes<Narrow, sizeof(Vector)> r;
  for (int i = 0; i < r.kCount; ++i) r.v[i] = static_cast<Narrow>(x.v[i]);
  return r;
}
}  // namespace emulated
LLMRUN_EMULATED __m512i _mm512_cvtepi8_epi32(__m128i a) { return emulated::Widened<int8_t>(a); }
LLMRUN_EMULATED __m512i _mm512_cvtepu8_epi32(__m128i a) { return emulated::Widened<uint8_t>(a); }
LLMRUN_EMULATED __m512i _mm512_cvtepi16_epi32(__m256i a) { return emulated::Widened<int16_t>(a); }
LLMRUN_EMULATED __m512i _mm512_cvtepu16_epi32(__m256i a) { return emulated::Widened<uint16_t>(a); }
LLMRUN_EMULATED __m128i _mm512_cvtepi32_epi8(__m512i a) {
  return emulated::Narrowed<int8_t, __m128i>(a);
}
LLMRUN_EMULATED __m256i _mm512_cvtepi32_epi16(__m512i a) {
  return emulated::Narrowed<int16_t, __m256i>(a);
}
LLMRUN_EMULATED __m512 _mm512_cvtepi32_ps(__m512i a) {
  return emulated::ByHalves([](__m256i x) { return _mm256_cvtepi32_ps(x); }, a);
}
LLMRUN_EMULATED __m512i _mm512_cvtps_epi32(__m512 a) {
  return emulated::ByHalves([](__m256 x) { return _mm256_cvtps_epi32(x); }, a);
}
LLMRUN_EMULATED __m512 _mm512_cvtph_ps(__m256i a) {
  return emulated::Joined(_mm256_cvtph_ps(_mm256_castsi256_si128(a)),
                          _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1)));
}
LLMRUN_EMULATED __m256i _mm512_cvtps_ph(__m512 a, int rounding) {
  if (rounding != (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)) __builtin_trap();
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return _mm256_set_m128i(_mm256_cvtps_ph(emulated::HalfOf(a, 1), kNearest),
                          _mm256_cvtps_ph(emulated::HalfOf(a, 0), kNearest));
}

}  // namespace llmrun
