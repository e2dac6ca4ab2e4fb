// Half-precision and bfloat16 to and from float32 in integer arithmetic: exact, all NaNs quiet, the
// same bits as the F16C instructions. For portable code only: files compiled for a newer
// instruction set must not include inline functions that others share.
#pragma once

#include <bit>
#include <cstdint>

namespace llmrun {

inline float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t exponent = half >> 10 & 0x1FU;
  uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {  // zero or denormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  if (exponent == 31) {
    if (fraction != 0) fraction |= 0x200U;
    return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13);
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

// Rounds to nearest, ties to even.
inline uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000U);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  uint32_t half = 0;
  if (magnitude > 0x7F800000U) {  // NaN: the upper payload bits, made quiet
    half = 0x7E00U | (magnitude >> 13 & 0x3FFU);
  } else if (magnitude >= 0x477FF000U) {  // rounds to 2^16 or more
    half = 0x7C00U;
  } else if (magnitude >= 0x38800000U) {  // a normal half
    half = (magnitude - (112U << 23) + 0xFFFU + (magnitude >> 13 & 1U)) >> 13;
  } else {  // a multiple of 2^-24: adding 0.5 makes the float unit round to exactly that grid
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    half = std::bit_cast<uint32_t>(shifted) - 0x3F000000U;
  }
  return static_cast<uint16_t>(sign | half);
}

// Rounds to nearest, ties to even.
inline uint16_t FloatToBfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const bool is_nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
  const uint32_t rounded = is_nan ? bits | 0x400000U : bits + 0x7FFFU + (bits >> 16 & 1U);
  return static_cast<uint16_t>(rounded >> 16);
}

inline float Bfloat16ToFloat(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

}  // namespace llmrun
