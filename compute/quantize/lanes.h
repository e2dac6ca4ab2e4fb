// Four numbers at once, for the searches: each of four candidates is computed as if alone, so that
// sums over a block have the order, and the bits, that they have one candidate at a time. Every
// x86-64 processor has registers of this kind.
// Threads: pure functions.
#pragma once

#include <xmmintrin.h>

#include <cstring>

namespace llmrun::quantize {

inline constexpr int kLanes = 4;
using Lanes = float __attribute__((vector_size(16)));

inline Lanes Fill(float value) { return Lanes{value, value, value, value}; }
inline Lanes Load(const float* values) {
  Lanes lanes;
  std::memcpy(&lanes, values, sizeof lanes);
  return lanes;
}
inline void Store(Lanes lanes, float* values) { std::memcpy(values, &lanes, sizeof lanes); }

// As std::clamp().
inline Lanes Clamp(Lanes y, float low, float high) {
  // GCC 12 makes four instructions each of what these are.
  return _mm_min_ps(Fill(high), _mm_max_ps(Fill(low), y));
}
// 1 / x; 0 where x is 0.
inline Lanes InverseOrZero(Lanes x) { return x != Fill(0) ? 1 / x : Fill(0); }

}  // namespace llmrun::quantize
