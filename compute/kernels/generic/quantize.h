// Activations to int8 with one scale per 32; see Kernels::quantize_rows.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/generic/partial.h"

namespace llmrun::generic {

// Bit patterns of non-negative floats are ordered like their values, NaN above infinity above all
// others, so the largest magnitude is found, and judged, as an integer.
inline constexpr uint32_t kInfinityBits = 0x7F800000;

template <class Isa>
void QuantizeBlock(const float* x, int8_t* q, float* scale, int16_t* sums) {
  static_assert(kQuantBlock == 2 * kLanes && kSumBlock == kLanes);
  typename Isa::F low = Isa::Load(x);
  typename Isa::F high = Isa::Load(x + kLanes);
  const uint32_t max_bits = Isa::MaxMagnitudeBits(low, high);
  float max = 0;
  __builtin_memcpy(&max, &max_bits, sizeof max);
  *scale = max / 127.0F;
  float factor = 127.0F / max;
  if (max_bits >= kInfinityBits) {
    *scale = __builtin_nanf("");
    low = high = Isa::Zero();
    factor = 0;
  } else if (*scale < __FLT_MIN__) {
    // Too small for a normal scale, which a processor set to flush denormals would lose: zero.
    *scale = 0;
    factor = 0;
  }
  const typename Isa::F factors = Isa::Set(factor);
  sums[0] = Isa::StoreRounded(q, Isa::Mul(low, factors));
  sums[1] = Isa::StoreRounded(q + kLanes, Isa::Mul(high, factors));
}

template <class Isa>
void QuantizeRows(const float* x, int64_t n_tokens, int64_t n_cols, int8_t* q, float* scale,
                  int16_t* sums) {
  const int64_t blocks = n_tokens * (n_cols / kQuantBlock);
  for (int64_t b = 0; b < blocks; ++b) {
    QuantizeBlock<Isa>(x + b * kQuantBlock, q + b * kQuantBlock, scale + b, sums + b * 2);
  }
}

}  // namespace llmrun::generic
