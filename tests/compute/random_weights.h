// Random weights of every type that can be decoded, with known scales.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "compute/half.h"
#include "memory/dtype.h"

namespace llmrun::testing {

// Every type that DequantizeRow knows.
inline constexpr DType kCodecTypes[] = {
    DType::kF32,   DType::kF16,   DType::kBF16,  DType::kQ4_0,   DType::kQ4_1,
    DType::kQ5_0,  DType::kQ5_1,  DType::kQ8_0,  DType::kQ2_K,   DType::kQ3_K,
    DType::kQ4_K,  DType::kQ5_K,  DType::kQ6_K,  DType::kIQ4_NL, DType::kIQ4_XS,
    DType::kTQ1_0, DType::kTQ2_0, DType::kMXFP4, DType::kIQ2_BN, DType::kI2_S};

// The offsets of the f16 scales and minimums in a block of a quantized type.
inline std::vector<size_t> ScaleOffsets(DType type) {
  switch (type) {
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      return {0, 2};
    case DType::kQ2_K:
      return {80, 82};
    case DType::kQ3_K:
      return {108};
    case DType::kQ6_K:
      return {208};
    case DType::kTQ1_0:
      return {52};
    case DType::kTQ2_0:
      return {64};
    case DType::kMXFP4:   // an exponent
    case DType::kIQ2_BN:  // a float32 before each row
    case DType::kI2_S:    // a float32 behind the tensor
      return {};
    default:
      return {0};
  }
}

// Gives the scales and minimums of rows of `row_bytes` what `next` returns, each of them another;
// MXFP4 the power of two below it, which is the scale of its doubled values.
template <typename Next>
void SetScales(DType type, std::span<std::byte> weights, size_t row_bytes, Next next) {
  const BlockTraits& traits = TraitsOf(type);
  const std::vector<size_t> offsets = ScaleOffsets(type);
  const auto put = [&](size_t at, auto value) {
    std::memcpy(weights.data() + at, &value, sizeof value);
  };
  for (size_t row = 0; row < weights.size(); row += row_bytes) {
    if (type == DType::kIQ2_BN) put(row, next());
    for (size_t at = row + traits.row_head_bytes; at < row + row_bytes; at += traits.block_bytes) {
      for (size_t offset : offsets) put(at + offset, FloatToHalf(next()));
      if (type != DType::kMXFP4) continue;
      put(at, static_cast<uint8_t>(128 + std::clamp(std::ilogb(next()), -127, 127)));
    }
  }
}

// All scales and minimums the same. IQ2_BN: `weights` is one row unless `cols` says how long one
// is.
inline void SetBlockScales(DType type, std::span<std::byte> weights, uint16_t half,
                           uint64_t cols = 0) {
  SetScales(type, weights, cols == 0 ? weights.size() : RowBytes(type, cols),
            [=] { return HalfToFloat(half); });
}

// Rows of random weights: any bytes in the quants, scales and float values of ordinary size.
inline std::vector<std::byte> RandomWeights(DType type, int64_t rows, int64_t cols,
                                            std::mt19937& random) {
  const auto n = static_cast<size_t>(rows * cols);
  std::normal_distribution<float> normal;
  std::vector<std::byte> bytes(static_cast<size_t>(rows) *
                               RowBytes(type, static_cast<uint64_t>(cols)));
  const auto put = [&](size_t at, auto value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  for (size_t i = 0; type == DType::kF32 && i < n; ++i) put(i * 4, normal(random));
  for (size_t i = 0; type == DType::kF16 && i < n; ++i) put(i * 2, FloatToHalf(normal(random)));
  for (size_t i = 0; type == DType::kBF16 && i < n; ++i) {
    put(i * 2, static_cast<uint16_t>(std::bit_cast<uint32_t>(normal(random)) >> 16));
  }
  if (TraitsOf(type).block_elems == 1) return bytes;
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  SetScales(type, bytes, RowBytes(type, static_cast<uint64_t>(cols)),
            [&] { return normal(random) * 0.01F; });
  return bytes;
}

}  // namespace llmrun::testing
