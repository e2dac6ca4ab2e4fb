// Single values, and blocks of 32 with one scale.
#include <algorithm>
#include <array>
#include <cmath>

#include "compute/quantize/encoders.h"
#include "compute/quantize/fit_range.h"
#include "compute/quantize/fit_scale.h"

namespace llmrun::quantize {
namespace {

// Code times scale for values of either sign: the largest is put at the first code, as ggml does.
// With importance the scale with the least error.
template <int kHalf>  // codes are -kHalf..kHalf - 1
float SignedScale(const float* values, const float* importance) {
  if (importance == nullptr) return LargestOf(values, kBlockElems) / static_cast<float>(-kHalf);
  std::array<float, kBlockElems> weights{};
  BlockWeights(values, importance, kBlockElems, weights.data());
  return FitScale<IntegerLevels<-kHalf, kHalf - 1>>(values, weights.data(), kBlockElems).scale;
}

// Rounded as ggml does: a half is added, what is behind the point cut off. What is outside of the
// codes, with importance, becomes the nearest of them.
int CutOff(float raised, int last) {
  return static_cast<int>(std::clamp(raised, 0.0F, static_cast<float>(last)));
}

template <int kHalf>
int SignedCode(float value, float inverse) {
  return CutOff(value * inverse + (kHalf + 0.5F), 2 * kHalf - 1);
}

template <int kLast>
RangeFit PlainRange(const float* values, const float* importance) {
  if (importance == nullptr) {
    const auto [least, greatest] = std::minmax_element(values, values + kBlockElems);
    return {(*greatest - *least) / static_cast<float>(kLast), *least};
  }
  std::array<float, kBlockElems> weights{};
  BlockWeights(values, importance, kBlockElems, weights.data());
  return FitRange<kLast>(values, weights.data(), kBlockElems, false);
}

template <int kLast>
int RangeCode(float value, const RangeFit& range, float inverse) {
  return CutOff((value - range.offset) * inverse + 0.5F, kLast);
}

// Of a scale that is not denormal: the inverse of one might be infinite.
float InverseOf(float scale) { return std::fabs(scale) >= 0x1p-126F ? 1 / scale : 0; }

}  // namespace

void EncodeF32(const float* values, const float*, std::byte* block) { PutAs(block, *values); }
void EncodeF16(const float* values, const float*, std::byte* block) { PutHalf(block, *values); }
void EncodeBf16(const float* values, const float*, std::byte* block) {
  PutAs(block, FloatToBfloat16(*values));
}

// The errors of eight bits are not worth a search.
void EncodeQ8_0(const float* values, const float*, std::byte* block) {
  const float scale = std::fabs(LargestOf(values, kBlockElems)) / 127;
  const float inverse = InverseOf(scale);
  PutHalf(block, scale);
  for (int i = 0; i < kBlockElems; ++i) {
    PutAs(block + 2 + i, static_cast<int8_t>(std::round(values[i] * inverse)));
  }
}

void EncodeQ4_0(const float* values, const float* importance, std::byte* block) {
  const float scale = SignedScale<8>(values, importance);
  const float inverse = InverseOf(scale);
  std::memset(block, 0, 18);
  PutHalf(block, scale);
  for (int i = 0; i < kBlockElems; ++i) {
    PutNibble(block + 2, i, SignedCode<8>(values[i], inverse));
  }
}

void EncodeQ4_1(const float* values, const float* importance, std::byte* block) {
  const RangeFit range = PlainRange<15>(values, importance);
  const float inverse = InverseOf(range.scale);
  std::memset(block, 0, 20);
  PutHalf(block, range.scale);
  PutHalf(block + 2, range.offset);
  for (int i = 0; i < kBlockElems; ++i)
    PutNibble(block + 4, i, RangeCode<15>(values[i], range, inverse));
}

void EncodeQ5_0(const float* values, const float* importance, std::byte* block) {
  const float scale = SignedScale<16>(values, importance);
  const float inverse = InverseOf(scale);
  std::memset(block, 0, 22);
  PutHalf(block, scale);
  uint32_t fifth = 0;
  for (int i = 0; i < kBlockElems; ++i) {
    const int code = SignedCode<16>(values[i], inverse);
    fifth |= static_cast<uint32_t>(code >> 4) << i;
    PutNibble(block + 6, i, code & 15);
  }
  PutAs(block + 2, fifth);
}

void EncodeQ5_1(const float* values, const float* importance, std::byte* block) {
  const RangeFit range = PlainRange<31>(values, importance);
  const float inverse = InverseOf(range.scale);
  std::memset(block, 0, 24);
  PutHalf(block, range.scale);
  PutHalf(block + 2, range.offset);
  uint32_t fifth = 0;
  for (int i = 0; i < kBlockElems; ++i) {
    const int code = RangeCode<31>(values[i], range, inverse);
    fifth |= static_cast<uint32_t>(code >> 4) << i;
    PutNibble(block + 8, i, code & 15);
  }
  PutAs(block + 4, fifth);
}

void EncodeIq4Nl(const float* values, const float* importance, std::byte* block) {
  std::array<float, kBlockElems> weights{};
  BlockWeights(values, importance, kBlockElems, weights.data());
  const float scale = RoundedToHalf(FitScale<Iq4Levels>(values, weights.data(), kBlockElems).scale);
  const float inverse = InverseOf(scale);
  std::memset(block, 0, 18);
  PutHalf(block, scale);
  for (int i = 0; i < kBlockElems; ++i) {
    PutNibble(block + 2, i, Iq4Levels::CodeOf(values[i] * inverse));
  }
}

// Of the powers of two about the largest value over the largest level, the one with the least
// error.
void EncodeMxfp4(const float* values, const float* importance, std::byte* block) {
  std::array<float, kBlockElems> weights{};
  BlockWeights(values, importance, kBlockElems, weights.data());
  const float largest = std::fabs(LargestOf(values, kBlockElems));
  constexpr int kLeast = 1;  // exponents below have denormal scales
  constexpr int kGreatest = 252;
  int exponent = kLeast;
  if (largest >= kLeastMagnitude) {
    // Levels are doubled: 12 is the largest of them.
    const int middle = std::ilogb(largest) - 3 + 128;
    std::array<int, kLanes> exponents{};
    Lanes scales{};
    for (int lane = 0; lane < kLanes; ++lane) {
      exponents[lane] = std::clamp(middle - 1 + std::min(lane, 2), kLeast, kGreatest);
      scales[lane] = std::ldexp(1.0F, exponents[lane] - 128);
    }
    const Lanes errors = ErrorsAt<E2m1Levels>(values, weights.data(), kBlockElems, scales);
    float least = INFINITY;
    for (int lane = 0; lane < kLanes; ++lane) {
      if (errors[lane] < least) exponent = exponents[lane];
      least = std::min(errors[lane], least);
    }
  }
  const float inverse = std::ldexp(1.0F, 128 - exponent);
  std::memset(block, 0, 17);
  PutAs(block, static_cast<uint8_t>(exponent));
  for (int i = 0; i < kBlockElems; ++i) {
    // 7 is the zero of the ascending levels; magnitudes 0..7 with the sign in front.
    const int signed_code = E2m1Levels::CodeOf(values[i] * inverse) - 7;
    PutNibble(block + 1, i, signed_code < 0 ? 8 - signed_code : signed_code);
  }
}

}  // namespace llmrun::quantize
