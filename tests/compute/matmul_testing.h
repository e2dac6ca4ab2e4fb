// What a product should be, in float64.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/codec.h"
#include "compute/half.h"
#include "compute/kernels.h"
#include "tests/compute/compute_testing.h"

namespace llmrun::testing {

inline std::vector<float> Decode(DType type, std::span<const std::byte> weights, int64_t rows,
                                 int64_t cols) {
  std::vector<float> values(static_cast<size_t>(rows * cols));
  const uint64_t row_bytes = RowBytes(type, static_cast<uint64_t>(cols));
  for (int64_t r = 0; r < rows; ++r) {
    EXPECT_TRUE(DequantizeRow(type, weights.data() + static_cast<uint64_t>(r) * row_bytes, cols,
                              values.data() + r * cols));
  }
  return values;
}

// As what a product of float weights takes an activation.
inline float Meets(DType type, float x) {
  return type == DType::kBF16 ? Bfloat16ToFloat(FloatToBfloat16(x)) : x;
}

// Row r times token t in float64, from the values that weights and activations stand for.
inline double Truth(DType type, const std::vector<float>& weights, const Activations& a,
                    int64_t cols, int64_t r, int64_t t) {
  double sum = 0;
  for (int64_t c = 0; c < cols; ++c) {
    const auto at = static_cast<size_t>(t * cols + c);
    const double x = UsesQuantizedActivations(type)
                         ? static_cast<double>(a.q[at]) * a.scale[at / kQuantBlock]
                         : Meets(type, a.x[at]);
    sum += x * weights[static_cast<size_t>(r * cols + c)];
  }
  return sum;
}

inline constexpr uint16_t kHalfOne = 0x3C00;

// int8 activations of scale 1, so that every partial sum is an integer that a float holds exactly.
inline Activations IntegerActivations(int64_t tokens, int64_t cols, auto value) {
  Activations a;
  const auto n = static_cast<size_t>(tokens * cols);
  a.q.resize(n);
  for (size_t i = 0; i < n; ++i) a.q[i] = static_cast<int8_t>(value(static_cast<int64_t>(i)));
  a.scale.assign(n / kQuantBlock, 1.0F);
  a.sums.resize(n / kSumBlock);
  for (size_t i = 0; i < n; ++i) {
    a.sums[i / kSumBlock] = static_cast<int16_t>(a.sums[i / kSumBlock] + a.q[i]);
  }
  return a;
}

}  // namespace llmrun::testing
