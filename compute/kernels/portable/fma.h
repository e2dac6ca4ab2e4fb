// A fused multiply-add of floats on processors without one, much faster than the C library's.
//
// The product of two floats is exact in double. The sum is then rounded to odd (when inexact, to
// the neighbour whose last bit is 1), after which rounding to float gives what a single rounding
// would (S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
// using rounding to odd", IEEE Trans. Computers 57(4), 2008).
#pragma once

#include <bit>
#include <cstdint>

namespace llmrun::portable {

inline float FusedMultiplyAdd(float a, float b, float c) {
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = c;
  const double sum = product + addend;
  // The error of the sum (Knuth's TwoSum); NaN when the sum is not finite, which compares false.
  const double part = sum - product;
  const double error = (product - (sum - part)) + (addend - part);
  auto bits = std::bit_cast<uint64_t>(sum);
  const bool inexact = error > 0 || error < 0;
  const bool away_from_zero = (error > 0) == (sum > 0);
  if (inexact && (bits & 1) == 0) bits += away_from_zero ? uint64_t{1} : ~uint64_t{0};
  return static_cast<float>(std::bit_cast<double>(bits));
}

}  // namespace llmrun::portable
